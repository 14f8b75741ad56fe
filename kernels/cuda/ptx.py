"""Inline PTX in numba.cuda kernels; no other file knows how it is done.

    mul_hi = instruction("mul.hi.u32 $0, $1, $2;", U32, [U32, U32], meaning=lambda a, b: ...)

    @cuda.jit
    def kernel(...):
        x = mul_hi(y, z)

numba.cuda lets an `intrinsic` emit LLVM code, and LLVM takes assembly text with a constraint string
(LLVM Language Reference, "Inline Assembler Expressions"; PTX ISA for the instructions themselves).
Kernels use `instruction` and `operation`, and inside an operation only what `Code` offers.
`ptx_mlir.py` offers the same for numba-cuda-mlir, and so could a file for numba-hip.

Under the CUDA simulator (NUMBA_ENABLE_CUDASIM=1) an instruction with a `meaning` is that Python
function, so kernels made of such instructions run without a GPU. One without raises when it is
called.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kernels.cuda.compiler import MLIR, SIMULATED, types

if MLIR:
    from kernels.cuda.ptx_mlir import generator, intrinsic
elif not SIMULATED:
    from llvmlite import ir
    from numba.cuda import dispatcher
    from numba.cuda.extending import intrinsic

I32, U32, I64 = types.int32, types.uint32, types.int64

Emit = Callable[..., Any]


def tuple_of(count: int, item: Any = I32) -> Any:
    """The type of `count` values that stay in registers."""
    return types.UniTuple(item, count)


class Code:
    """What an operation may emit. Values are LLVM's; constants are made with `const`."""

    def __init__(self, context: Any, builder: Any, signature: Any) -> None:
        self._context = context
        self._builder = builder
        self._signature = signature

    @property
    def capability(self) -> tuple[int, int]:
        """Of the card that is compiled for."""
        return tuple(dispatcher.get_current_device().compute_capability[:2])

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
        """Assembly with 32-bit results; `$0` counts results first, then arguments.

        `tied`: values that come in where the first results go out (read-modify-write registers).
        `effect`: not to be dropped or merged. `memory`: it touches memory, so nothing that does may
        cross it.
        """
        builder = self._builder
        constraints = ["=r"] * results
        constraints += ["l" if str(value.type) == "i64" else "r" for value in arguments]
        constraints += [str(position) for position in range(len(tied))]
        if memory:
            constraints.append("~{memory}")
        i32 = ir.IntType(32)
        if results == 0:
            output: Any = ir.VoidType()
        elif results == 1:
            output = i32
        else:
            output = ir.LiteralStructType([i32] * results)
        values = [*arguments, *tied]
        function = ir.FunctionType(output, [value.type for value in values])
        call = builder.call(
            ir.InlineAsm(function, text, ",".join(constraints), side_effect=effect or memory),
            values,
        )
        if results <= 1:
            return [call] * results
        return [builder.extract_value(call, position) for position in range(results)]

    def unpack(self, value: Any, count: int) -> list[Any]:
        """The values of a tuple."""
        return [self._builder.extract_value(value, position) for position in range(count)]

    def const(self, number: int, bits: int = 32) -> Any:
        """An integer constant."""
        return ir.Constant(ir.IntType(bits), number)

    def add(self, a: Any, b: Any) -> Any:
        """Sum, modulo the width."""
        return self._builder.add(a, b)

    def subtract(self, a: Any, b: Any) -> Any:
        """Difference, modulo the width."""
        return self._builder.sub(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        """Product, modulo the width."""
        return self._builder.mul(a, b)

    def divide(self, a: Any, b: Any) -> Any:
        """Quotient of unsigned values, rounded down."""
        return self._builder.udiv(a, b)

    def xor(self, a: Any, b: Any) -> Any:
        """Bitwise exclusive or."""
        return self._builder.xor(a, b)

    def widen(self, a: Any) -> Any:
        """A signed 32-bit value as 64 bits."""
        return self._builder.sext(a, ir.IntType(64))

    def address_of(self, array: Any) -> Any:
        """Generic 64-bit address of an array's first byte."""
        array_type = self._signature.args[0]
        view = self._context.make_array(array_type)(self._context, self._builder, array)
        return self._builder.ptrtoint(view.data, ir.IntType(64))

    def _give(self, emitted: Any) -> Any:
        kind = self._signature.return_type
        if kind == types.void:
            return self._context.get_dummy_value()
        if isinstance(kind, types.BaseTuple):
            return self._context.make_tuple(self._builder, kind, emitted)
        return emitted[0] if isinstance(emitted, list) else emitted


def operation(
    result: Any, operands: Sequence[Any], emit: Emit, *, meaning: Callable[..., Any] | None = None
) -> Any:
    """A function for kernels whose code is what `emit(code, *values)` emits.

    `result` and `operands` are numba types, `result` None for none. An operand None stands for
    whatever is passed (an array).
    """
    if SIMULATED:
        return meaning or _needs_a_gpu

    def typed(*given: Any) -> Any:
        kinds = [
            found if kind is None else kind for kind, found in zip(operands, given, strict=True)
        ]
        signature = (types.void if result is None else result)(*kinds)
        if MLIR:
            return signature, generator(emit, operands, result)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            code = Code(context, builder, signature)
            return code._give(emit(code, *values))

        return signature, generate

    return intrinsic(_WITH_ARITY[len(operands)](typed))


def instruction(
    text: str,
    result: Any,
    operands: Sequence[Any],
    *,
    effect: bool = False,
    memory: bool = False,
    meaning: Callable[..., Any] | None = None,
) -> Any:
    """A function for kernels that is one piece of assembly; `$0` is the result, where there is one.

    A result may be a `tuple_of` 32-bit values: `$0` to `$n-1`.
    """
    count = 0 if result is None else getattr(result, "count", 1)

    def emit(code: Code, *values: Any) -> Any:
        return code.asm(text, count, values, effect=effect, memory=memory)

    return operation(result, operands, emit, meaning=meaning)


def word(value: Any) -> Any:
    """A Python integer as a 32-bit word, for what instructions mean in the simulator."""
    return np.uint32(int(value) & 0xFFFFFFFF)


def _needs_a_gpu(*_: Any) -> Any:
    raise NotImplementedError("this instruction runs on a GPU only")


# numba looks at the number of arguments of the function that it is given.
_WITH_ARITY: dict[int, Callable[[Callable[..., Any]], Any]] = {
    0: lambda typed: lambda typingctx: typed(),  # noqa: ARG005
    1: lambda typed: lambda typingctx, a: typed(a),  # noqa: ARG005
    2: lambda typed: lambda typingctx, a, b: typed(a, b),  # noqa: ARG005
    3: lambda typed: lambda typingctx, a, b, c: typed(a, b, c),  # noqa: ARG005
    4: lambda typed: lambda typingctx, a, b, c, d: typed(a, b, c, d),  # noqa: ARG005
    5: lambda typed: lambda typingctx, a, b, c, d, e: typed(a, b, c, d, e),  # noqa: ARG005
    6: lambda typed: lambda typingctx, a, b, c, d, e, f: typed(a, b, c, d, e, f),  # noqa: ARG005
}
