"""What an operation of `ptx.py` may emit, for numba-cuda-mlir: MLIR's llvm and arith dialects.

The text of an instruction and its constraints are the same as numba-cuda's; only who builds the code
differs. A value that has several parts is a Python tuple there.
"""

from collections.abc import Callable, Sequence
from typing import Any

from numba_cuda_mlir._mlir import ir
from numba_cuda_mlir._mlir.dialects import arith, llvm, memref
from numba_cuda_mlir.cuda import types
from numba_cuda_mlir.extending import intrinsic

__all__ = ["MlirCode", "generator", "intrinsic", "types"]


class MlirCode:
    """`ptx.Code`, in the place in MLIR where the compiler is."""

    capability = (0, 0)
    """Not known here: what needs a newer card is left out."""

    def asm(
        self,
        text: str,
        results: int,
        arguments: Sequence[Any],
        *,
        tied: Sequence[Any] = (),
        effect: bool = False,
        memory: bool = False,
    ) -> list[Any]:
        constraints = ["=r"] * results
        constraints += ["l" if _bits(value) == 64 else "r" for value in arguments]
        constraints += [str(position) for position in range(len(tied))]
        if memory:
            constraints.append("~{memory}")
        call = llvm.inline_asm(
            _results(results), [*arguments, *tied], text, ",".join(constraints),
            has_side_effects=effect or memory,
        )  # fmt: skip
        if results <= 1:
            return [call] * results
        return [llvm.extractvalue(_integer(32), call, [position]) for position in range(results)]

    def unpack(self, value: Any, count: int) -> list[Any]:
        assert len(value) == count
        return list(value)

    def const(self, number: int, bits: int = 32) -> Any:
        return arith.constant(_integer(bits), number)

    def add(self, a: Any, b: Any) -> Any:
        return arith.addi(a, b)

    def subtract(self, a: Any, b: Any) -> Any:
        return arith.subi(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        return arith.muli(a, b)

    def divide(self, a: Any, b: Any) -> Any:
        return arith.divui(a, b)

    def xor(self, a: Any, b: Any) -> Any:
        return arith.xori(a, b)

    def widen(self, a: Any) -> Any:
        return arith.extsi(_integer(64), a)

    def address_of(self, array: Any) -> Any:
        pointer = memref.extract_aligned_pointer_as_index(array)
        return arith.index_cast(_integer(64), pointer)


def generator(
    emit: Callable[..., Any], operands: Sequence[Any], result: Any
) -> Callable[..., None]:
    """Return what numba-cuda-mlir calls to generate an operation's code."""

    def generate(builder: Any, target: Any, arguments: Any, _keywords: Any) -> None:
        values = [
            _converted(builder, builder.load_var(argument), kind)
            for argument, kind in zip(arguments, operands, strict=True)
        ]
        emitted = emit(MlirCode(), *values)
        if result is None:
            builder.store_var(target, None)
        elif isinstance(result, types.BaseTuple):
            builder.store_var(target, tuple(emitted))
        else:
            builder.store_var(target, emitted[0] if isinstance(emitted, list) else emitted)

    return generate


def _converted(builder: Any, value: Any, kind: Any) -> Any:
    """An operand as its type's signless integer; a tuple's items likewise, an array as it is."""
    if kind is None:
        return value
    if isinstance(kind, types.BaseTuple):
        return tuple(_converted(builder, item, kind.dtype) for item in value)
    return builder.mlir_convert(value, _integer(kind.bitwidth))


def _integer(bits: int) -> Any:
    return ir.IntegerType.get_signless(bits)


def _bits(value: Any) -> int:
    return int(ir.IntegerType(value.type).width)


def _results(count: int) -> Any:
    if count == 0:
        return None
    if count == 1:
        return _integer(32)
    return ir.Type.parse(f"!llvm.struct<({', '.join(['i32'] * count)})>")
