"""Intrinsics as assembly for a CPU that need not be this one."""

import re
from collections import Counter

from llvmlite import binding, ir


def assembly(intrinsic, *kinds, triple: str, cpu: str = "", features: str = "") -> str:
    """An intrinsic as a function of its own, optimised as Numba does."""
    _, generate = intrinsic._defn(None, *kinds)
    module = ir.Module()
    module.triple = triple
    arguments = [ir.IntType(kind.bitwidth) for kind in kinds]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), "kernel")
    builder = ir.IRBuilder(function.append_basic_block())
    generate(None, builder, None, function.args)
    builder.ret_void()
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = binding.Target.from_triple(triple)
    machine = target.create_target_machine(cpu=cpu, features=features, opt=3)
    compiled = binding.parse_assembly(str(module))
    compiled.verify()
    options = binding.create_pipeline_tuning_options(speed_level=3)
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(compiled, passes)
    return machine.emit_assembly(compiled)


def instructions(text: str) -> Counter:
    """How often each instruction stands there."""
    return Counter(re.findall(r"^\t(?:{vex}\t?\s*)?([a-z][a-z0-9.]*)", text, re.M))


def inner_loops(text: str, instruction: str) -> list[str]:
    """Those that hold the instruction: from a label to the jump back to it."""
    loops = re.findall(r"^(\.LBB\w+):.*\n((?:(?!\.LBB).*\n)*?)\t(?:j|b\.)\w+\t\1$", text, re.M)
    return [body for _, body in loops if instruction in instructions(body)]
