"""The reference app: projects that cost credits, a chat about them, and a dashboard that shows where credits went.

In the order in which a visitor meets them:

1. :func:`create_app` puts an ASGI app together. What credits pay for, the generation and the chat, is passed in
   (:data:`Generate`, :data:`Chat`); the built-in ones are small, real, and say that they are built in.
2. ``GET /`` is the dashboard, ``GET /pricing`` the plans, ``/sonas-usage.js`` an element that shows the usage panel on
   any page. They are static files, without a build step and without a script from elsewhere.
3. A page signs in: by Supabase Auth, or as a demo user (:class:`Demo`) on one's own machine.
4. ``POST /api/generate-daytona`` and ``POST /api/chat-continue`` spend, ``GET /api/usage`` says what is left.
5. :func:`check_dashboard` compares what a running app shows with what the database says.
"""

from __future__ import annotations

from sonas_supabase.web._app import create_app
from sonas_supabase.web._check import DashboardCheck, check_dashboard
from sonas_supabase.web._context import Demo, SupabaseProject
from sonas_supabase.web._work import Chat, Checkout, Draft, Generate, Project

__all__ = [
    "Chat",
    "Checkout",
    "DashboardCheck",
    "Demo",
    "Draft",
    "Generate",
    "Project",
    "SupabaseProject",
    "check_dashboard",
    "create_app",
]
