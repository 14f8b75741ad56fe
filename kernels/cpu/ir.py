"""Words for writing LLVM IR with llvmlite: addresses, vectors, loops.

A microkernel here is one `numba.extending.intrinsic` (`inline` makes it), whose body is LLVM IR and
not Python: only so can it say which registers hold the sums, and call LLVM's intrinsics for single
instructions. Addresses are plain 64-bit integers, as Numba's `array.ctypes.data` gives them.

LLVM's own reference: https://llvm.org/docs/LangRef.html; its x86 intrinsics are declared in
llvm/include/llvm/IR/IntrinsicsX86.td.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from itertools import chain, islice
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
VOID = ir.VoidType()
POINTER = I8.as_pointer()

type Builder = ir.IRBuilder
Value = Any
"""A value of IR; llvmlite has no types of its own to check."""


def vector(element: ir.Type, lanes: int) -> ir.VectorType:
    """The type <lanes x element>."""
    return ir.VectorType(element, lanes)


def splat(kind: ir.VectorType, number: int) -> ir.Constant:
    """A constant vector, one number in every lane."""
    return ir.Constant(kind, [number] * kind.count)


def lanes_from(kind: ir.VectorType, numbers: Sequence[int]) -> ir.Constant:
    """A constant vector of these numbers."""
    return ir.Constant(kind, list(numbers))


def undefined(kind: ir.Type) -> ir.Constant:
    """A value that may be anything."""
    return ir.Constant(kind, ir.Undefined)


def inline(body: Callable[..., None]) -> Any:
    """Decorator: `body(builder, *values)` writes IR, and becomes a function that kernels may call.

    Its arguments are integers, and it has no result.
    """

    def nothing(builder: Builder, *values: Value) -> Value:
        body(builder, *values)
        return ir.Constant(POINTER, None)  # Numba's None

    return _intrinsic(body, nothing, types.void)


def inline_records(*given: str | type) -> Callable[[Callable[..., None]], Any]:
    """Decorator: `inline` for a body that takes records; each field of a dataclass is an argument."""

    def decorate(body: Callable[..., None]) -> Any:
        names = [
            [kind] if isinstance(kind, str) else [f.name for f in fields(kind)] for kind in given
        ]

        def spread(builder: Builder, *values: Value) -> None:
            left = iter(values)
            groups = [list(islice(left, len(some))) for some in names]
            records = (
                group[0] if isinstance(kind, str) else kind(*group)
                for kind, group in zip(given, groups, strict=True)
            )
            body(builder, *records)

        spread.__name__ = body.__name__
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter(name, kind) for name in ("builder", *chain(*names))]
        spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return inline(spread)

    return decorate


def valued(body: Callable[..., Value]) -> Any:
    """Decorator: the same for a body that gives an int64."""
    return _intrinsic(body, body, types.int64)


def _intrinsic(body: Callable[..., Any], given: Callable[..., Value], result: Any) -> Any:
    def declare(_context: Any, *kinds: Any) -> Any:
        if any(isinstance(kind, types.Float) for kind in kinds):  # an int64 and a uint64 make one
            raise TypingError(f"{body.__name__} takes integers, not {kinds}")

        def generate(_context: Any, builder: Builder, _signature: Any, values: Any) -> Any:
            return given(builder, *values)

        return result(*(types.unliteral(kind) for kind in kinds)), generate

    # Numba asks for the names of parameters: the builder stands where it gives its own context.
    declare.__signature__ = inspect.signature(body)  # type: ignore[attr-defined]
    declare.__name__ = declare.__qualname__ = body.__name__
    return intrinsic(declare)


@inline
def no_operation(_builder: Builder) -> None:
    """Nothing: for a microkernel that needs no beginning and no end."""


def broadcast(builder: Builder, scalar: Value, lanes: int) -> Value:
    """<lanes x scalar's type>, the scalar in every lane."""
    kind = vector(scalar.type, lanes)
    first = builder.insert_element(undefined(kind), scalar, I32(0))
    return builder.shuffle_vector(first, undefined(kind), splat(vector(I32, lanes), 0))


def offset(builder: Builder, address: Value, distance: int) -> Value:
    """The address that many bytes further."""
    return builder.add(address, I64(distance)) if distance else address


def pointer(builder: Builder, address: Value, kind: ir.Type = I8) -> Value:
    """The address as a pointer."""
    return builder.inttoptr(address, kind.as_pointer())


def load(builder: Builder, kind: ir.Type, address: Value, align: int) -> Value:
    """What lies there."""
    value = builder.load(pointer(builder, address, kind))
    value.align = align
    return value


def store(builder: Builder, value: Value, address: Value, align: int) -> Value:
    """Put it there; gives the store instruction."""
    instruction = builder.store(value, pointer(builder, address, value.type))
    instruction.align = align
    return instruction


def call(builder: Builder, name: str, result: ir.Type, *arguments: Value) -> Value:
    """Call one of LLVM's intrinsics."""
    module = builder.module
    function = module.globals.get(name)
    if function is None:
        kinds = [argument.type for argument in arguments]
        function = ir.Function(module, ir.FunctionType(result, kinds), name)
    return builder.call(function, arguments)


def loop(
    builder: Builder,
    count: Value,
    carried: Sequence[Value],
    body: Callable[[Value, Sequence[Value]], Sequence[Value]],
) -> list[Value]:
    """Run body(turn, carried) -> carried `count` times, at least once; gives what the last turn gave.

    The carried values are phi nodes: LLVM keeps them in registers as long as there are enough.
    """
    before = builder.block
    inside = builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    builder.branch(inside)
    builder.position_at_end(inside)
    turn = builder.phi(I64)
    turn.add_incoming(I64(0), before)
    phis = [builder.phi(value.type) for value in carried]
    for phi, value in zip(phis, carried, strict=True):
        phi.add_incoming(value, before)
    results = list(body(turn, phis))
    following = builder.add(turn, I64(1))
    turn.add_incoming(following, builder.block)
    for phi, value in zip(phis, results, strict=True):
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), inside, after)
    builder.position_at_end(after)
    return results


def choose(
    builder: Builder,
    condition: Value,
    if_true: Callable[[], Sequence[Value]],
    if_false: Callable[[], Sequence[Value]],
) -> list[Value]:
    """Run one of two, and give what it gave."""
    yes, no, after = (builder.append_basic_block(name) for name in ("yes", "no", "after"))
    builder.cbranch(condition, yes, no)
    given: list[tuple[Any, Sequence[Value]]] = []
    for block, work in ((yes, if_true), (no, if_false)):
        builder.position_at_end(block)
        values = work()
        given.append((builder.block, values))
        builder.branch(after)
    builder.position_at_end(after)
    phis = [builder.phi(value.type) for value in given[0][1]]
    for block, values in given:
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value, block)
    return phis


def switch(builder: Builder, number: Value, works: Mapping[int, Callable[[], None]]) -> None:
    """Do the work that has this number; nothing where none has."""
    after = builder.append_basic_block("after")
    chosen = builder.switch(number, after)
    for value, work in works.items():
        block = builder.append_basic_block("case")
        chosen.add_case(I64(value), block)
        builder.position_at_end(block)
        work()
        builder.branch(after)
    builder.position_at_end(after)


def when(builder: Builder, condition: Value, work: Callable[[], None]) -> None:
    """Do it where the condition holds."""

    def done() -> list[Value]:
        work()
        return []

    choose(builder, condition, done, list)


def copy(builder: Builder, target: Value, source: Value, count: Value) -> None:
    """Memcpy."""
    places = pointer(builder, target), pointer(builder, source)
    call(builder, "llvm.memcpy.p0.p0.i64", VOID, *places, count, I1(0))


copy_bytes = inline(copy)
"""For kernels."""


@inline
def fill_bytes(builder: Builder, target: Value, value: Value, count: Value) -> None:
    """Memset."""
    byte = builder.trunc(value, I8)
    call(builder, "llvm.memset.p0.i64", VOID, pointer(builder, target), byte, count, I1(0))
