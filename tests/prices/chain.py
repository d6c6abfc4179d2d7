"""A real chain on this machine (eth-tester with py-evm), spoken to as JSON-RPC speaks."""

from __future__ import annotations

from typing import Any

from eth_tester import EthereumTester, PyEVMBackend  # type: ignore[import-untyped]

# A contract that takes no money: its code is `revert(0, 0)`.
REVERTS = "0x60006000fd"
DEPLOY = "0x64" + REVERTS[2:] + "600052" + "6005601bf3"


class Chain:
    """Answers methods with the words of the Ethereum JSON-RPC: hexadecimal quantities, names in camel case."""

    def __init__(self) -> None:
        self.tester = EthereumTester(PyEVMBackend())
        self.asked: list[str] = []

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(self.tester.get_accounts())

    def deploy(self, code: str) -> str:
        sent = self.tester.send_transaction({"from": self.accounts[0], "data": code, "gas": 200_000})
        return str(self.tester.get_transaction_receipt(sent)["contract_address"])

    def __call__(self, method: str, params: list[Any]) -> Any:
        self.asked.append(method)
        match method:
            case "eth_blockNumber":
                return hex(self.tester.get_block_by_number("latest")["number"])
            case "eth_gasPrice":
                return hex(self.tester.get_block_by_number("pending").get("base_fee_per_gas", 10**9) * 2)
            case "eth_estimateGas":
                return hex(self.tester.estimate_gas(_known(params[0])))
            case "eth_sendTransaction":
                return self.tester.send_transaction(_known(params[0]))
            case "eth_getTransactionReceipt":
                return _camel(self.tester.get_transaction_receipt(params[0]))
        raise LookupError(f"the method {method} does not exist")


def _known(transaction: dict[str, Any]) -> dict[str, Any]:
    names = {
        "maxFeePerGas": "max_fee_per_gas",
        "maxPriorityFeePerGas": "max_priority_fee_per_gas",
        "gasPrice": "gas_price",
    }
    return {names.get(key, key): value for key, value in transaction.items()}


def _camel(values: Any) -> dict[str, Any]:
    found = {}
    for name, value in dict(values).items():
        first, *rest = name.split("_")
        shown = hex(value) if isinstance(value, int) and not isinstance(value, bool) else value
        found[first + "".join(part.capitalize() for part in rest)] = shown
    return found
