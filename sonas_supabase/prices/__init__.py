"""What operations cost, around the price book of the database: files, imports, and what providers' answers used.

A price book is kept in one file (:class:`BookFile`), imported from `genai-prices` (:func:`from_genai_prices`), and
pushed with :meth:`~sonas_supabase.CreditsClient.set_prices`. :func:`meter_llm` reads from a model's answer what it
used, :func:`meter_rpc` wraps the endpoint of a chain; both answer quantities for
:meth:`~sonas_supabase.CreditsClient.consume_operation` and :meth:`~sonas_supabase.CreditsClient.capture_operation`.
"""

from __future__ import annotations

from sonas_supabase.prices._book_file import BookFile, BookFileProblem
from sonas_supabase.prices._genai import Imported, from_genai_prices
from sonas_supabase.prices._llm import LlmStream, LlmUsage, UnknownResponse, meter_llm
from sonas_supabase.prices._plans_file import PlansFile
from sonas_supabase.prices._rpc import RpcCall, RpcMeter, RpcProblem, meter_rpc

__all__ = [
    "BookFile",
    "BookFileProblem",
    "Imported",
    "LlmStream",
    "LlmUsage",
    "PlansFile",
    "RpcCall",
    "RpcMeter",
    "RpcProblem",
    "UnknownResponse",
    "from_genai_prices",
    "meter_llm",
    "meter_rpc",
]
