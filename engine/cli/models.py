"""`cpc-engine models`: files of networks, from TFLite's and ONNX's formats to this program's."""

from dataclasses import asdict
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.config.groups import with_options
from engine.cli.options import Json, command_group, say, say_json
from engine.cli.waiting import sign_of_life

if TYPE_CHECKING:
    from kernels.network.graph.graph import Graph

app = command_group(_("Models for inference: import, quantise, show and verify them."))

ENDING = ".safetensors"
SourceFile = Annotated[
    Path,
    typer.Argument(help=_("A .tflite or .onnx file, int8 throughout; or a .zip with a .tflite.")),
]
ModelFile = Annotated[
    Path, typer.Argument(help=_("A model file of this program, or a .tflite or .onnx file."))
]
Sizes = Annotated[
    list[str],
    typer.Option(
        "--dim", metavar="NAME=SIZE", help=_("Size of a dimension that an ONNX file only names.")
    ),
]


@app.command("import")
@with_options
def import_(
    file: SourceFile,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help=_("Where to write the model. [FILE.safetensors]")),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help=_("A name for each output, to say what a sample is.")),
    ] = None,
    pixels: Annotated[
        bool,
        typer.Option(
            "--pixels", help=_("The input is pixels, 0 to 255: 128 is taken from each, to be int8.")
        ),
    ] = False,
    dim: Sizes = [],  # noqa: B006 - typer copies it
    json: Json = False,
) -> None:
    """Import an int8 model: TFLite (bit for bit as LiteRT), or ONNX with QDQ or QLinear operators."""
    from engine.jobs.models.files import import_file, with_words, write_model

    graph = with_words(import_file(file, sizes_of(dim)), labels, pixels)
    target = output or file.with_suffix(ENDING)
    size, sha256 = write_model(graph, target)
    if json:
        say_json({"file": str(target), "bytes": size, "sha256": sha256, "layers": len(graph.nodes)})
        return
    say(_wrote(target, size, sha256))
    say(_totals(graph))


@app.command()
@with_options
def show(file: ModelFile, json: Json = False) -> None:
    """Show a model's layers: shapes, multiply-adds and bytes."""
    from engine.jobs.models.files import layers_of, load_graph

    graph = load_graph(file)
    layers = layers_of(graph)
    if json:
        say_json({"inputs": graph.about.get("inputs", []), "layers": layers})
        return
    for end, form in zip(graph.about.get("inputs", []), graph.inputs, strict=False):
        say(_("input {name}: {shape}").format(name=_name(end), shape=_shape(form.shape)))
    say(f"{'':>4}  {_('operator'):<18} {_('output'):<18} {_('multiply-adds'):>14} {_('bytes'):>9}")
    for layer in layers:
        said = f"{layer.number:>4}  {layer.op:<18} {_shape(layer.shape):<18}"
        say(f"{said} {layer.cost:>14,} {layer.parameter_bytes:>9,}")
    say(_totals(graph))


@app.command()
@with_options
def verify(
    file: SourceFile,
    samples: Annotated[
        int, typer.Option("--samples", min=1, max=10_000, help=_("Random samples to compare."))
    ] = 100,
    dim: Sizes = [],  # noqa: B006 - typer copies it
    json: Json = False,
) -> None:
    """Compare an import with LiteRT (package ai-edge-litert) or ONNX Runtime (onnxruntime)."""
    from engine.cli.failure import EXIT_WRONG
    from engine.jobs.models.files import ONNX
    from engine.jobs.models.verification import compare

    if file.suffix == ONNX:
        _verify_onnx(file, samples, sizes_of(dim), json)
        return
    with sign_of_life():
        verdict = compare(file, samples)
    if json:
        say_json(verdict)
    elif verdict.different:
        say(
            ngettext(
                "{different} of {samples} sample has another output than LiteRT {version}",
                "{different} of {samples} samples have another output than LiteRT {version}",
                samples,
            ).format(different=verdict.different, samples=samples, version=verdict.version)
        )
    else:
        say(
            ngettext(
                "{samples} random sample: every output equals LiteRT {version}, bit for bit",
                "{samples} random samples: every output equals LiteRT {version}, bit for bit",
                samples,
            ).format(samples=samples, version=verdict.version)
        )
    if verdict.different:
        raise typer.Exit(EXIT_WRONG)


@app.command()
@with_options
def quantise(
    file: Annotated[Path, typer.Argument(help=_("A .onnx file, in float."))],
    calibrate: Annotated[
        Path,
        typer.Option(
            help=_("A .npz file with samples: an array for each input; labels, if there are any.")
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help=_("Where to write the model. [FILE.safetensors]")),
    ] = None,
    percentile: Annotated[
        float,
        typer.Option(
            min=90, max=100, help=_("Share of a tensor's values that its scale covers; 100: all.")
        ),
    ] = 100.0,
    json: Json = False,
) -> None:
    """Make a float ONNX file a model of integers, by samples, and report its error."""
    from engine.jobs.models.files import write_model
    from engine.jobs.models.quantising import quantise_file

    with sign_of_life():
        imported, report = quantise_file(file, calibrate, percentile)
    target = output or file.with_suffix(ENDING)
    size, sha256 = write_model(imported.graph, target)
    if json:
        say_json({"file": str(target), "bytes": size, "sha256": sha256, "report": asdict(report)})
        return
    say(_wrote(target, size, sha256))
    say(_totals(imported.graph))
    say(
        ngettext(
            "error against the float model, {samples} sample:",
            "error against the float model, {samples} samples:",
            report.samples,
        ).format(samples=report.samples)
    )
    line = _("  {name}: at most {most}, mean {mean}, cosine {cosine:.5f}; values to {largest}")
    for one in report.outputs:
        most, mean, largest = (f"{part:.4g}" for part in (one.most, one.mean, one.largest))
        said = line.format(name=one.name, most=most, mean=mean, cosine=one.cosine, largest=largest)
        say(said)
    if report.right is not None:
        say(
            _("  right: {right:.2%}, float {float_right:.2%}; the same answer: {same:.2%}").format(
                right=report.right, float_right=report.float_right, same=report.same
            )
        )


def _wrote(file: Path, size: int, sha256: str) -> str:
    text = ngettext(
        "wrote {file}: {size} byte, SHA-256 {sha256}",
        "wrote {file}: {size} bytes, SHA-256 {sha256}",
        size,
    )
    return text.format(file=file, size=size, sha256=sha256)


def _verify_onnx(file: Path, samples: int, sizes: dict[str, int], json: bool) -> None:
    """Print how many entries differ, by operator; more than a step is not rounding."""
    from engine.cli.failure import EXIT_WRONG
    from engine.jobs.models.onnx_runtime import compare_runtime

    with sign_of_life():
        verdict = compare_runtime(file, samples, sizes)
    if json:
        say_json(verdict)
    else:
        say(
            ngettext(
                "{samples} random sample beside ONNX Runtime {version}",
                "{samples} random samples beside ONNX Runtime {version}",
                samples,
            ).format(samples=samples, version=verdict.version)
        )
        say(f"{_('operator'):<28} {_('entries'):>12} {_('different'):>10} {_('steps at most'):>14}")
        for one in (*verdict.operators, verdict.outputs):
            said = _("outputs") if one is verdict.outputs else one.operator
            say(f"{said:<28} {one.entries:>12,} {one.different:>10,} {one.most:>14}")
    if any(one.most > 1 for one in verdict.operators):
        raise typer.Exit(EXIT_WRONG)


def sizes_of(given: list[str]) -> dict[str, int]:
    """Return the sizes in texts NAME=SIZE. Raise BadInput."""
    from engine.runtime.errors import BadInput

    sizes = {}
    for text in given:
        name, _equals, size = text.rpartition("=")
        if not name or not size.isascii() or not size.isdigit() or not 0 < int(size[:9]) < 1 << 20:
            raise BadInput(_("--dim {text!r} is not NAME=SIZE").format(text=text[:60]))
        sizes[name] = int(size)
    return sizes


def _totals(graph: "Graph") -> str:
    layers, cost, memory = len(graph.nodes), graph.sample_cost, graph.sample_bytes
    return ", ".join(
        (
            ngettext("{n} layer", "{n} layers", layers).format(n=layers),
            ngettext("{n:,} multiply-add", "{n:,} multiply-adds", cost).format(n=cost),
            ngettext(
                "{n:,} byte of memory a sample", "{n:,} bytes of memory a sample", memory
            ).format(n=memory),
        )
    )


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "1"


def _name(end: object) -> str:
    return str(end.get("name", ""))[:60] if isinstance(end, dict) else ""
