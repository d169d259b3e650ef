"""What a picture shows of things done at once: people as people, each part in its own box, and the way a run took."""

from __future__ import annotations

from backstay import (
    ActionDenied,
    Cancelled,
    IdempotencyKey,
    action,
    approval,
    gather,
    race,
    sleep,
    task,
    wait_for,
    workflow,
)
from backstay.commands import attempt
from backstay.language.graph import Graph, draw_graph, taken, visit_of


@action(effect="read")
async def price_of(item: str) -> int: ...


@action(effect="irreversible")
async def pay(item: str, key: IdempotencyKey) -> None: ...


@workflow
async def buy(items: list[str]) -> str:
    prices = await gather(*[price_of(item) for item in items])
    first = await race(
        approval("bosses", show=prices),
        gather(task("clerks"), wait_for("paid")),
        sleep("2d"),
    )
    if first.index == 2:
        raise Cancelled("too late")
    try:
        second = await race(pay("all"), sleep("1d"))
    except ActionDenied:
        return "not paid"
    return f"{second.index}"


@workflow
async def all_of(items: list[str]) -> list[int]:
    calls = [price_of(item) for item in items]
    return await gather(*calls)


@workflow
async def size(item: str) -> str:
    price = await price_of(item)
    if price > 1:
        return "big"
    match item:  # pyright: ignore[reportMatchNotExhaustive] - the picture has an edge for what fits no case
        case "gift" if price:
            return "odd"
        case "gift":
            raise Cancelled("no gift")
    return item or "small"


def graph() -> Graph:
    return draw_graph(buy.program.closure)


def edges(drawn: Graph, source: str) -> list[tuple[str, str]]:
    return [(edge.target, edge.label) for edge in drawn.edges if edge.source == source]


def test_whoever_is_asked_inside_a_race_or_gather_is_drawn_as_a_person() -> None:
    drawn = {node.id: (node.kind, node.label) for node in graph().nodes.values()}
    assert drawn["race"] == ("group", "first of")
    assert drawn["race/0"] == ("person", "approval bosses")
    assert drawn["race/1"] == ("group", "all of")
    assert drawn["race/1/0"] == ("person", "task clerks")
    assert drawn["race/1/1"] == ("wait", "wait for paid")
    assert drawn["race/2"] == ("wait", "sleep 2d")
    assert drawn["race.2/0"] == ("irreversible", "pay")


def test_the_parts_go_out_from_the_group_and_meet_in_what_follows() -> None:
    drawn = graph()
    assert edges(drawn, "race") == [("race/0", ""), ("race/1", ""), ("race/2", "")]
    decision = next(node for node in drawn.nodes.values() if node.kind == "decision")
    for part in ("race/0", "race/1/0", "race/1/1", "race/2"):
        assert edges(drawn, part) == [(decision.id, "")]
    assert edges(drawn, "gather") == [("gather/0", "each item in items")]


def test_which_part_was_first_is_asked_by_its_name() -> None:
    assert [node.label for node in graph().nodes.values() if node.kind == "decision"] == ["first: sleep 2d?"]


def test_only_what_can_be_denied_leads_to_the_handler_of_denials() -> None:
    assert [edge.source for edge in graph().edges if edge.error] == ["race.2/0"]


def test_what_comes_in_a_variable_is_drawn_as_what_is_written() -> None:
    drawn = draw_graph(all_of.program.closure)
    assert [node.label for node in drawn.nodes.values() if node.kind not in ("start", "end")] == ["all of", "calls"]


def test_the_way_of_a_run_goes_through_the_parts_that_it_began() -> None:
    seen = taken(graph(), ["gather.0", "gather.1", "race.0", "race.1.0", "race.1.1", "race.2", "race.2.0", "race.2.1"])
    assert {"gather/0", "race/0", "race/1/0", "race/1/1", "race/2", "race.2/0", "race.2/1"} <= seen.nodes
    assert {("gather/0", "race"), ("race", "race/1"), ("race/1", "race/1/0"), ("race.2", "race.2/0")} <= seen.edges
    for edge in seen.edges:
        assert edge in {(each.source, each.target) for each in graph().edges}


def end_of(drawn: Graph, *last: dict[str, object]) -> set[str]:
    """The label of the end that a finished run came to, by what it decided last."""
    seen = taken(drawn, [("price_of", ""), *(visit_of(entry) for entry in last)], finished=True)
    return {drawn.nodes[target].label for _, target in seen.edges if drawn.nodes[target].kind in ("end", "failed")}


def test_the_last_decision_of_a_finished_run_leads_to_its_end() -> None:
    drawn = draw_graph(size.program.closure)
    steps = {node.label: node.id for node in drawn.nodes.values() if node.kind == "decision"}
    big: dict[str, object] = {"step": steps["price > 1?"], "kind": "if", "verdict": True}
    small: dict[str, object] = {**big, "verdict": False}
    gift: dict[str, object] = {"step": steps["item?"], "kind": "match", "text": 'case "gift"', "verdict": True}
    asked: dict[str, object] = {"step": "or.1", "kind": "or", "text": "item", "verdict": True}
    assert end_of(drawn, big) == {"big"}
    assert end_of(drawn, small, {**gift, "text": "no case", "verdict": False}, asked) == {'item or "small"'}
    assert end_of(drawn, {**big, "verdict": None}) == {"big"}
    assert end_of(drawn, small, gift) == set(), "two cases of this pattern, apart by their guards"


@workflow
async def choose(item: str) -> str:
    first = await race(attempt(price_of(item)), sleep("1d"))
    match item:
        case "gift":
            return await size(item)
        case _:
            return f"{item} after {first.index}"


def test_an_attempt_is_drawn_as_what_is_attempted_and_ends_and_cases_as_people_say_them() -> None:
    drawn = draw_graph(choose.program.closure)
    assert (drawn.nodes["race/0"].kind, drawn.nodes["race/0"].label) == ("read", "price of")
    decision = next(node.id for node in drawn.nodes.values() if node.kind == "decision")
    assert [label for _, label in edges(drawn, decision)] == ["gift", "otherwise"]
    assert [node.label for node in drawn.nodes.values() if node.kind == "end"] == ["done", "… after …"]
    seen = taken(
        drawn,
        [("race.0.0", ""), visit_of({"step": decision, "kind": "match", "text": "case _", "verdict": True})],
        True,
    )
    assert "race/0" in seen.nodes
    assert "… after …" in {drawn.nodes[name].label for name in seen.nodes}
