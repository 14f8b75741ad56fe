"""The devnet's routes for validators and delegators, snapshots, metrics and `/`.

None of them was recorded: paths and fields are those of the node's published source
(github.com/computechain/computechain, blockchain/rpc/api.py, January 2026). Amounts are JSON integers.

    /validators                 {"epoch", "validators": [VALIDATOR, ...]}; VALIDATOR: see `validators`
    /validator/A                VALIDATOR, or 404
    /validator/A/performance    fourteen of its fields, or 404
    /delegator/A/delegations    {"delegator", "delegations": [{"validator", "amount",
                                "created_height", "validator_name", "validator_commission"}],
                                "total_delegated"}
    /delegator/A/rewards        {"delegator", "total_rewards", "current_epoch",
                                "rewards_by_epoch": [{"epoch", "amount"}]}
    /delegator/A/unbonding      {"delegator", "total_unbonding", "unbonding_count",
                                "unbonding_delegations": [{"validator", "amount", "completion_height",
                                "blocks_remaining"}], "current_height"}
    /snapshots, /snapshots/H    [], and 404: the devnet takes none
    /metrics                    Prometheus' text; few of the node's gauges
    /                           {"message", "version"}: what a node without its dashboard file says
"""

from typing import Any

from fastapi import APIRouter, HTTPException, Response

from node_client.devnet.chain import Chain
from node_client.devnet.validators import Validator

_PERFORMANCE = (
    "address",
    "is_active",
    "performance_score",
    "uptime_score",
    "blocks_proposed",
    "blocks_expected",
    "missed_blocks",
    "last_block_height",
    "power",
    "total_penalties",
    "jailed_until_height",
    "jail_count",
    "joined_height",
    "last_seen_height",
)


def more_routes(chain: Chain) -> APIRouter:
    """GET routes over this chain."""
    router = APIRouter()

    @router.get("/")
    async def root() -> dict[str, str]:
        return {"message": "ComputeChain Node RPC", "version": "1.0"}

    @router.get("/validators")
    async def validators() -> dict[str, Any]:
        everyone = [validator.to_json() for validator in chain.validators()]
        return {"epoch": chain.status()["epoch"], "validators": everyone}

    @router.get("/validator/{address}")
    async def validator(address: str) -> dict[str, Any]:
        return _found(chain, address).to_json()

    @router.get("/validator/{address}/performance")
    async def performance(address: str) -> dict[str, Any]:
        found = _found(chain, address)
        return {name: getattr(found, name) for name in _PERFORMANCE}

    @router.get("/delegator/{address}/delegations")
    async def delegations(address: str) -> dict[str, Any]:
        return _delegations(chain, address)

    @router.get("/delegator/{address}/rewards")
    async def rewards(address: str) -> dict[str, Any]:
        earned = sorted(chain.account(address).rewards)
        return {
            "delegator": address,
            "total_rewards": sum(amount for _epoch, amount in earned),
            "rewards_by_epoch": [{"epoch": epoch, "amount": amount} for epoch, amount in earned],
            "current_epoch": chain.status()["epoch"],
        }

    @router.get("/delegator/{address}/unbonding")
    async def unbonding(address: str) -> dict[str, Any]:
        return _unbonding(chain, address)

    @router.get("/snapshots")
    async def snapshots() -> list[Any]:
        return []

    @router.get("/snapshots/{height}")
    async def snapshot(height: int) -> dict[str, Any]:
        raise HTTPException(404, f"Snapshot at height {height} not found")

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(_metrics(chain), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _found(chain: Chain, address: str) -> Validator:
    validator = chain.validator(address)
    if validator is None:
        raise HTTPException(404, "Validator not found")
    return validator


def _delegations(chain: Chain, address: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        {
            "validator": validator.address,
            "amount": delegation.amount,
            "created_height": delegation.created_height,
            "validator_name": validator.name or "Unknown",
            "validator_commission": validator.commission_rate,
        }
        for validator in chain.validators()
        if (delegation := validator.delegation_of(address)) is not None
    ]
    total = sum(delegation["amount"] for delegation in found)
    return {"delegator": address, "delegations": found, "total_delegated": total}


def _unbonding(chain: Chain, address: str) -> dict[str, Any]:
    height = chain.height
    entries = [
        {
            "validator": entry.validator,
            "amount": entry.amount,
            "completion_height": entry.completion_height,
            "blocks_remaining": max(0, entry.completion_height - height),
        }
        for entry in chain.account(address).unbonding
    ]
    return {
        "delegator": address,
        "total_unbonding": sum(entry["amount"] for entry in entries),
        "unbonding_count": len(entries),
        "unbonding_delegations": entries,
        "current_height": height,
    }


def _metrics(chain: Chain) -> str:
    everyone = chain.validators()
    gauges = {
        "computechain_block_height": chain.height,
        "computechain_mempool_size": chain.status()["mempool_size"],
        "computechain_validator_count_total": len(everyone),
        "computechain_validator_count_active": sum(one.is_active for one in everyone),
        "computechain_validator_count_jailed": sum(
            one.jailed_until_height > chain.height for one in everyone
        ),
    }
    return "".join(f"# TYPE {name} gauge\n{name} {value}\n" for name, value in gauges.items())
