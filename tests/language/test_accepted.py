"""Programs that must be accepted, each with the picture it gives."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from backstay.language import check_file, to_mermaid, to_svg
from backstay.language.graph import draw_graph

ACCEPTED = sorted((Path(__file__).parent / "golden" / "accepted").glob("*.py"))


@pytest.mark.parametrize("program", ACCEPTED, ids=lambda path: path.stem)
def test_an_accepted_program_has_exactly_this_picture(program: Path, update_golden: bool) -> None:
    checked = check_file(program)
    assert [str(one) for one in checked.diagnostics] == []
    picture = "\n".join(to_mermaid(flow.definition) for flow in checked.workflows)
    expected = program.with_suffix(".mmd")
    if update_golden:
        expected.write_text(picture)
    assert picture == expected.read_text()


@pytest.mark.parametrize("program", ACCEPTED, ids=lambda path: path.stem)
def test_the_svg_is_well_formed_and_holds_every_node_inside_its_frame(program: Path) -> None:
    for flow in check_file(program).workflows:
        root = ElementTree.fromstring(to_svg(flow.program))
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        drawn = {node.attrib["data-step"] for node in root.iter() if "data-step" in node.attrib}
        assert drawn == set(draw_graph(flow.program.closure).nodes)
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            assert 0 < float(text.attrib["x"]) < width
            assert 0 < float(text.attrib["y"]) < height


def test_the_path_a_run_took_stands_out() -> None:
    flow = next(one for one in check_file(ACCEPTED[0]).workflows if one.name == "chase")
    picture = to_mermaid(flow.program, ["repeat", "while.5e2ac4", "approval"])
    assert "class n0 taken" in picture
    assert picture != to_mermaid(flow.program)
