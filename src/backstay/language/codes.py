"""Every way a program can be refused: one literal table of code, title, reason and remedy.

`docs/diagnostics.md` is generated from it. `{name}` stands for the thing in the program that the caret points at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Refusal:
    """What is the same in every occurrence of one code."""

    title: str
    reason: str
    help: str
    in_rule: str = ""
    """The remedy in a rule or method, which can wait for nothing; empty where the other one fits there too."""


CODES: Final[dict[str, Refusal]] = {
    # --- syntax ---------------------------------------------------------------------------------------
    "B101": Refusal(
        "a function inside a function",
        "`{name}` would not be part of the stored definition by name, and could capture variables that change",
        "move `{name}` to the top of the module and decorate it with @rule",
    ),
    "B102": Refusal(
        "a class inside a function",
        "a run would make a new type each time it is resumed, and values of the old one would not match it",
        "move `{name}` to the top of the module as a pydantic model, an Enum or a dataclass",
    ),
    "B103": Refusal(
        "a lambda",
        "a nameless function shows neither in the picture nor in the log",
        "write a @rule at the top of the module and pass its name, for example `sorted(lines, key=by_amount)`",
    ),
    "B104": Refusal(
        "an import inside a function",
        "what it brings depends on the machine that resumes the run",
        "import at the top of the module; what the language knows is in docs/language.md",
    ),
    "B105": Refusal(
        "`{name}` reaches outside the function",
        "a variable that outlives the run has another value when the run is resumed in another process",
        "pass the value in and return the new one",
    ),
    "B106": Refusal(
        "a `with` block",
        "a context manager opens something in this process, and a run may be resumed in another one",
        "open, use and close it inside one action",
    ),
    "B107": Refusal(
        "an asynchronous loop or comprehension",
        "it awaits things that are not commands, which the journal cannot answer",
        "await one command that returns a list, then loop over the list",
    ),
    "B108": Refusal(
        "`yield`",
        "a workflow hands control away only by awaiting a command",
        "collect the values in a list and return it",
    ),
    "B109": Refusal(
        "a set",
        "the order of a set depends on the process, so a loop over it takes another path on replay",
        "use a list, or `list(dict.fromkeys(items))` to drop duplicates; `x in {{1, 2}}` is fine",
    ),
    "B110": Refusal(
        "`del` of {name}",
        "only an entry of a dict or list can be deleted",
        "write `del entries[key]`, or give the variable a new value",
    ),
    "B111": Refusal(
        "the decorator `{name}`",
        "it can replace the function by something that is not in the stored definition",
        "keep only @workflow or @rule; put the behaviour into an action or into the engine's settings",
    ),
    "B112": Refusal(
        "`except` that catches everything",
        "it would catch the signal that cancels the run",
        "catch `Exception`, or better the error you expect: `except ActionFailed as error:`",
    ),
    "B113": Refusal(
        "`except*`",
        "no command answers with a group of errors",
        "use `except`; the first failure of a gather is the one that is raised",
    ),
    "B114": Refusal(
        "`await` in `finally`",
        "the block also runs when a run is cancelled, and a cancelled run may ask for nothing more",
        "undo effects with `compensate=` on the action, or await after the `try`",
    ),
    "B115": Refusal(
        "`{name}` in `finally`",
        "it swallows the error, and also the signal that cancels the run",
        "move it behind the `try` statement",
    ),
    "B116": Refusal(
        "a generator expression here",
        "a half-used generator is state that no journal holds",
        "use a list comprehension `[...]`; a generator may only be the argument of any, all, sum, min, max, sorted, "
        "list, tuple, dict, join, or next with a default",
    ),
    "B117": Refusal(
        "`await` in a rule",
        "a rule is pure: it decides from its arguments alone",
        "await in the workflow and pass the answer to the rule",
    ),
    "B118": Refusal(
        "`await` in a generator expression",
        "the generator would be asynchronous, and what consumes it cannot wait",
        "write a list comprehension: `any([await check(x) for x in items])`",
    ),
    "B119": Refusal(
        "`is` between values",
        "whether two equal values are one object depends on the process: an answer read from the journal is a new one",
        "compare with `==`; `is` is for None, True and False",
    ),
    "B120": Refusal(
        "{name}",
        "it is not part of the language",
        "docs/language.md lists what is",
    ),
    "B121": Refusal(
        "the parameter `{name}`",
        "a call could bring names that no schema knows",
        "name every parameter; pass several values as a list or a model",
    ),
    "B122": Refusal(
        "a default value that is no literal",
        "a default is made once per process and shared by all runs, so one run could see what another did",
        "use None, a number, text or a constant as default, and make the list inside the function",
    ),
    "B123": Refusal(
        "the parameter `{name}` has no type",
        "the signature is the input form and schema of the workflow",
        "annotate it, for example `{name}: str`",
    ),
    "B124": Refusal(
        "`{name}` is the wrong kind of function",
        "a workflow waits for answers and a rule never does",
        "write `@workflow` on an `async def` and `@rule` on a plain `def`",
    ),
    "B125": Refusal(
        "the format `{name}`",
        "a format must be spelled out, at most 200 wide, and must not depend on the machine's locale",
        "write it literally, for example `{{total:,.2f}}` or `{{due:%Y-%m-%d}}`",
    ),
    "B126": Refusal(
        "an assignment to {name}",
        "only names, entries and fields can be assigned; in an unpacking or a loop only names",
        "assign to a name first, then store the value with a statement of its own",
    ),
    "B127": Refusal(
        "`**` in a call of `{name}`",
        "the names it passes are not visible in the program",
        "spell the arguments out; `**` is for models, rules, actions and workflows",
    ),
    "B128": Refusal(
        "`%` on text",
        "its widths can ask for any amount of memory",
        'use an f-string: `f"{{name}}: {{total}}"`',
    ),
    "B129": Refusal(
        "`await` of {name}",
        "only a command can be awaited: the journal has no answer for anything else",
        "await an action, an agent, a workflow or a command such as `approval(...)`; call rules without `await`",
    ),
    "B130": Refusal(
        "`{name}(...)` is never awaited",
        "a command does nothing until it is awaited",
        "write `await {name}(...)`, or keep it in a variable and await it with `gather`",
    ),
    "B131": Refusal(
        "a name that begins with two underscores",
        "such names belong to Python and to the instrumentation",
        "choose another name",
    ),
    "B132": Refusal(
        "the program cannot be read",
        "{name}",
        "correct the syntax",
    ),
    "B133": Refusal(
        "`except Cancelled`",
        "a run that ends itself as cancelled is undone and over; nothing in it may go on",
        "decide before you raise it; to go on after a failure raise another error and catch that",
    ),
    # --- names and calls ------------------------------------------------------------------------------
    "B201": Refusal(
        "`{name}` is not defined",
        "no variable, import or definition of that name is visible here",
        "check the spelling, or import it at the top of the module",
    ),
    "B202": Refusal(
        "`{name}` reads the clock of the machine",
        "on replay it is later than it was",
        "write `await now()`: the journal remembers the answer",
        "take the moment as an argument: the workflow gets it with `await now()` and passes it in",
    ),
    "B203": Refusal(
        "`{name}` draws from chance",
        "on replay the dice fall differently",
        "write `await random()`: the journal remembers the draw",
        "take the number as an argument: the workflow draws it with `await random()` and passes it in",
    ),
    "B204": Refusal(
        "`{name}` makes a new identifier",
        "on replay it would be another one",
        "write `await new_id()`: the journal remembers it",
        "take the identifier as an argument: the workflow gets it with `await new_id()` and passes it in",
    ),
    "B205": Refusal(
        "`{name}` reads the machine's environment",
        "the worker that resumes the run may have another one",
        'write `await setting("name")`: the journal remembers the value',
        'take the value as an argument: the workflow gets it with `await setting("name")` and passes it in',
    ),
    "B206": Refusal(
        "`{name}` touches files, the network or other processes",
        "an effect outside an action would happen again on every replay",
        "put it into an @action and await that",
        "take what it gives as an argument: the workflow awaits an @action for it and passes the result in",
    ),
    "B207": Refusal(
        "`{name}` writes or reads a terminal",
        "it would happen again on every replay",
        'write `await note("...")` for a remark in the case log, `await task(...)` to ask a person',
        'let the workflow say it, with `await note("...")`; the values that a rule decides by are in the case log anyway',
    ),
    "B208": Refusal(
        "`{name}` runs or reaches what the checker cannot see",
        "nobody could say what the program does before it has done it",
        'write the code out; read fields by name, entries with `data["key"]`',
    ),
    "B209": Refusal(
        "a call of `{name}`",
        "the language does not know it, so nobody can tell whether it gives the same answer on replay",
        "make it a @rule if it only computes, an @action if it touches anything",
    ),
    "B210": Refusal(
        "a call of a value",
        "which function runs would be known only at run time",
        "call rules, actions and models by their names; choose between them with `if` or `match`",
    ),
    "B211": Refusal(
        "`{name}` used as a value",
        "functions and classes are not data: their text carries a memory address, and they cannot be stored",
        "call it; a rule may be passed as `key=`, a model as `form=` or `type=`, a class to isinstance",
    ),
    "B212": Refusal(
        "the module `{name}`",
        "a definition stores names, not modules",
        "import what you need by name: `from {name} import ...`",
    ),
    "B213": Refusal(
        "`key=` is not the name of a rule",
        "the order would be decided by something that is not in the definition",
        "write a @rule that returns the sort key and pass its name",
    ),
    "B214": Refusal(
        "`{name}` calls itself",
        "nothing bounds how deep it goes",
        "use a loop; rules may call other rules, in one direction",
    ),
    "B215": Refusal(
        "`{name}` looks behind a value",
        "identities, hashes and types differ between processes",
        "compare values with `==`; ask for a kind with isinstance or `match`",
    ),
    "B216": Refusal(
        "`{name}` is a plain function",
        "what it does is not checked and not stored with the definition",
        "decorate it with @rule if it only computes, with @action if it touches anything",
    ),
    "B217": Refusal(
        "the argument `{name}`",
        "this call does not take it",
        "docs/language.md shows what each function takes",
    ),
    "B218": Refusal(
        "`{name}` gives its values one at a time",
        "a half-used iterator is state that no journal holds",
        "use a list comprehension; `next((x for x in items if ...), None)` finds the first",
    ),
    "B219": Refusal(
        "`{name}` is used both as a variable and as a definition",
        "inside this function it is a variable, so the definition cannot be reached",
        "rename the variable",
    ),
    # --- attributes -----------------------------------------------------------------------------------
    "B220": Refusal(
        "`{name}` keeps the machine waiting",
        "nothing else could go on meanwhile, and it would wait again on every replay",
        'write `await sleep("1s")`, imported from backstay: the run waits without a worker',
        'let the workflow wait, with `await sleep("1s")`; a rule only computes',
    ),
    "B301": Refusal(
        "the attribute `{name}`",
        "names with a leading underscore lead behind the value, to code and frames that differ between processes",
        "use the public fields and methods",
    ),
    "B302": Refusal(
        "no model here has a field `{name}`",
        "only fields and properties of the models that this definition holds can be read",
        'check the spelling; entries of a dict are read with `data["{name}"]`',
    ),
    "B303": Refusal(
        "the method `{name}` is not called",
        "a method is not data: its text carries a memory address",
        "call it: `{name}(...)`",
    ),
    "B304": Refusal(
        "`.{name}()` used as a value",
        "a view behaves like a set in arithmetic, and a set's order depends on the process",
        "loop over it, or make a list first: `list(data.{name}())`",
    ),
    "B305": Refusal(
        "the method `{name}`",
        "neither the models of this definition nor the language's table of pure methods has it",
        "docs/language.md lists the methods; anything else belongs into a @rule or an @action",
    ),
    "B306": Refusal(
        "`.{name}()` on text",
        "a format that is built at run time can reach attributes and ask for any amount of memory",
        'use an f-string: `f"{{name}}: {{total}}"`',
    ),
    "B307": Refusal(
        "`{name}` depends on the machine's time zone or locale",
        "the worker that resumes the run may have another one",
        "keep moments in UTC and text in ISO form: `moment.astimezone(UTC)`, `day.isoformat()`",
    ),
    # --- what a definition holds ----------------------------------------------------------------------
    "B401": Refusal(
        "`{name}` is not a constant",
        "only what the module spells out once and nobody can change is the same on every worker",
        "write it as a literal, Decimal, date, timedelta, tuple or dict of such; pass what changes as input or read a setting",
    ),
    "B402": Refusal(
        "the value of constant `{name}` is computed",
        "it is stored as source and worked out again on every worker",
        'spell it out: literals, Decimal("..."), date(...), timedelta(...), tuples, lists, dicts, other constants',
    ),
    "B403": Refusal(
        "`{name}` is assigned more than once",
        "which value a run sees would depend on when it looks",
        "assign it once; use two names for two values",
    ),
    "B404": Refusal(
        "the base class `{name}`",
        "behaviour that is inherited from outside the definition is not stored with it",
        "derive from BaseModel, Enum, StrEnum, IntEnum or a model of the same kind",
    ),
    "B405": Refusal(
        "the decorator `{name}` in a class",
        "validators and other decorators run code at times the program does not show",
        "keep @property, @classmethod, @staticmethod and @dataclass; check values in a @rule, limits with Field(...)",
    ),
    "B406": Refusal(
        "the special method `{name}`",
        "it changes what operators mean, behind the back of the reader and the log",
        "write a method or a @rule with a name",
    ),
    "B407": Refusal(
        "the default of field `{name}`",
        "a default must be the same for every run",
        "use a literal, a constant, or `default_factory=list` or `dict`",
    ),
    "B408": Refusal(
        "the type `{name}`",
        "a definition knows built-in types, dates, Decimal, and models, enums and dataclasses that it can store; no sets",
        "use list[...] instead of a set, a model instead of an arbitrary class",
    ),
    "B409": Refusal(
        "{name} in a class",
        "a stored class consists of fields, docstring, model_config and pure methods",
        "move it into a @rule or a constant of the module",
    ),
    "B410": Refusal(
        "two different things are called `{name}`",
        "a definition has one namespace",
        "rename one of them",
    ),
    "B411": Refusal(
        "the source of `{name}` cannot be found",
        "a definition stores source, so that every worker runs the same program",
        "define it in a file, at the top of a module",
    ),
    "B412": Refusal(
        "the class `{name}`",
        "a definition can hold pydantic models, enums and dataclasses",
        "make it one of these, or keep it inside an action",
    ),
    "B413": Refusal(
        "`{name}` has another value than the module spells out",
        "something changed it after the import, and another worker would not see that",
        "do not change constants; pass what changes as input or read a setting",
    ),
    "B414": Refusal(
        "the action `{name}` has no closed schema",
        "its arguments and its result are stored as JSON",
        "give every parameter and the result a type that pydantic can write as JSON",
    ),
    "B415": Refusal(
        "the alias {name}",
        "an alias is a key of JSON; such a name belongs to Python or to pydantic, and could lead behind a value",
        "write a plain key as literal text, without a leading underscore",
    ),
    "B416": Refusal(
        "`{name}` in model_config",
        "it reads attributes of values, runs code, or takes a time that nothing bounds",
        "keep settings such as `frozen`, `extra`, `strict` and `populate_by_name`, spelled out in `ConfigDict(...)`",
    ),
    "B417": Refusal(
        "a method called `{name}`",
        "dicts have a method of that name whose answer is a view, and the checker could not tell them apart",
        "give it another name",
    ),
    # --- decision tables ------------------------------------------------------------------------------
    "B501": Refusal(
        "the decision table `{name}` has a gap",
        "for some input no row applies",
        "add a row for it, or a last row without conditions",
    ),
    "B502": Refusal(
        "rows of the decision table `{name}` overlap",
        "with hit policy `unique` at most one row may apply",
        'make them exclude each other, or use hit="first"',
    ),
    "B503": Refusal(
        "a row of the decision table `{name}` can never apply",
        "the rows above it take everything it would take",
        "move it up, or delete it",
    ),
    "B504": Refusal(
        "the decision table `{name}` is not well formed",
        "it is data that must be readable on every worker",
        'write rows as dicts: {{"amount": ">= 1000", "country": ["DE", "FR"], "then": "manager"}}',
    ),
    # --- files ----------------------------------------------------------------------------------------
    "B601": Refusal(
        "the file cannot be imported",
        "{name}",
        "correct the error, then check again",
    ),
}
