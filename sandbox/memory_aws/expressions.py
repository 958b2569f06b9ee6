"""DynamoDB's expressions: conditions, key conditions and updates of top-level attributes.

Each is compiled once and cached. Unsupported parts of the grammar (document paths, `DELETE`, `contains`, …) raise
`NotImplementedError`, so that they are not mistaken for a refusal by DynamoDB.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from sandbox.memory_aws.errors import AwsError

Value = Mapping[str, Any]
"""A typed attribute value, such as `{"S": "text"}`."""
Item = Mapping[str, Value]
Operand = Callable[["Item", "Bindings"], "Value | None"]
Condition = Callable[["Item", "Bindings"], bool]
Assignment = Callable[["Item", "Bindings"], "Value | None"]
"""Returns an attribute's new value; None to remove it."""

_TOKEN = re.compile(r"\s*(?:(?P<word>[#:]?[A-Za-z_0-9]+)|(?P<sign><>|<=|>=|[=<>(),+-]))")
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}
_ORDERED = frozenset({"S", "N", "B"})
_RESERVED = frozenset((Path(__file__).parent / "reserved_words.txt").read_text().split())
"""Words that cannot be used as attribute names in an expression (Developer Guide, "Reserved words in DynamoDB")."""


@dataclass(frozen=True, slots=True)
class Bindings:
    """The `#names` and `:values` of a call."""

    names: Mapping[str, str]
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Expression:
    """Base class of the compiled expressions: the placeholders that they use."""

    names: frozenset[str]
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class ConditionExpression(Expression):
    """A compiled condition."""

    holds: Condition


@dataclass(frozen=True, slots=True)
class KeyCondition(Expression):
    """A compiled key condition: a partition, and optionally a range of its sort key."""

    key_name: Callable[["Bindings"], str]
    partition: Operand
    sort_name: "Callable[[Bindings], str] | None"
    sort_operator: str
    bounds: Sequence[Operand]


@dataclass(frozen=True, slots=True)
class UpdateExpression(Expression):
    """A compiled update: for each attribute, a function from the old item to the new value."""

    assignments: "Sequence[tuple[Callable[[Bindings], str], Assignment]]"


def check_bindings(bindings: Bindings, *expressions: Expression) -> None:
    """Refuse undefined placeholders and unused definitions, as DynamoDB does."""
    for kind, what, defined, used in (
        ("Names", "name", bindings.names.keys(), frozenset().union(*(each.names for each in expressions))),
        ("Values", "value", bindings.values.keys(), frozenset().union(*(each.values for each in expressions))),
    ):
        if used == defined:
            continue
        if missing := sorted(used - defined):
            invalid(f"An expression attribute {what} used in expression is not defined; attribute {what}: {missing[0]}")
        if unused := sorted(defined - used):
            invalid(f"Value provided in ExpressionAttribute{kind} unused in expressions: keys: {{{', '.join(unused)}}}")


def invalid(message: str) -> NoReturn:
    """Refuse an invalid call."""
    raise AwsError("ValidationException", message)


@cache
def condition_of(text: str) -> ConditionExpression:
    """Compile a condition expression."""
    parser = _Parser(text, "ConditionExpression")
    holds = parser.disjunction()
    parser.end()
    return ConditionExpression(frozenset(parser.names), frozenset(parser.values), holds)


@cache
def key_condition_of(text: str) -> KeyCondition:
    """Compile a key condition expression."""
    parser = _Parser(text, "KeyConditionExpression")
    key_name = parser.attribute_name()
    parser.expect("=")
    partition = parser.operand()
    sort_name, operator, bounds = None, "", []
    if parser.accept("AND"):
        if parser.accept("begins_with"):
            operator = "begins_with"
            parser.expect("(")
            sort_name = parser.attribute_name()
            parser.expect(",")
            bounds = [parser.operand()]
            parser.expect(")")
        else:
            sort_name = parser.attribute_name()
            operator = parser.take()
            bounds = [parser.operand()]
            if operator.upper() == "BETWEEN":
                operator = "BETWEEN"
                parser.expect("AND")
                bounds.append(parser.operand())
    parser.end()
    return KeyCondition(
        frozenset(parser.names), frozenset(parser.values), key_name, partition, sort_name, operator, bounds
    )


@cache
def update_of(text: str) -> UpdateExpression:
    """Compile an update expression."""
    parser = _Parser(text, "UpdateExpression")
    assignments: list[tuple[Callable[[Bindings], str], Assignment]] = []
    sections: set[str] = set()
    while not parser.is_at_end:
        section = parser.take().upper()
        if section in sections:
            parser.refuse(f'The "{section}" section can only be used once in an update expression')
        sections.add(section)
        while True:
            name = parser.attribute_name()
            match section:
                case "SET":
                    parser.expect("=")
                    assignments.append((name, parser.assigned()))
                case "REMOVE":
                    assignments.append((name, lambda _item, _bindings: None))
                case "ADD":
                    assignments.append((name, _sum_of(name, parser.operand())))
                case _:
                    raise NotImplementedError(section)
            if not parser.accept(","):
                break
    return UpdateExpression(frozenset(parser.names), frozenset(parser.values), assignments)


def number(value: Decimal) -> Value:
    """Return a number in DynamoDB's notation."""
    return {"N": f"{value.normalize():f}"}


class _Parser:
    """A recursive-descent parser for expressions."""

    def __init__(self, text: str, kind: str) -> None:
        self._kind = kind
        self._tokens: list[str] = []
        self._position = 0
        self.names: set[str] = set()
        self.values: set[str] = set()
        at, text = 0, text.strip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                if text[at:].lstrip()[0] in ".[":
                    raise NotImplementedError(f"document paths: {text}")
                self.refuse(f'Syntax error; token: "{text[at:].lstrip()[0]}"')
            self._tokens.append(match["word"] or match["sign"])
            at = match.end()

    def refuse(self, detail: str) -> NoReturn:
        """Refuse the expression."""
        invalid(f"Invalid {self._kind}: {detail}")

    @property
    def is_at_end(self) -> bool:
        """Whether all tokens have been consumed."""
        return self._position == len(self._tokens)

    def end(self) -> None:
        """Refuse any remaining tokens."""
        if not self.is_at_end:
            self.refuse(f'Syntax error; token: "{self._tokens[self._position]}"')

    def take(self) -> str:
        """Consume and return the next token."""
        if self.is_at_end:
            self.refuse('Syntax error; token: "<EOF>"')
        self._position += 1
        return self._tokens[self._position - 1]

    def accept(self, *wanted: str) -> str:
        """Consume and return the next token if it is one of `wanted`; otherwise return an empty string."""
        if not self.is_at_end:
            token = self._tokens[self._position]
            for each in wanted:
                if token == each or (each.isupper() and token.upper() == each):
                    self._position += 1
                    return each
        return ""

    def expect(self, wanted: str) -> None:
        """Consume the next token; refuse the expression if it is another one."""
        if not self.accept(wanted):
            token = "<EOF>" if self.is_at_end else self._tokens[self._position]
            self.refuse(f'Syntax error; token: "{token}"')

    def attribute_name(self) -> Callable[[Bindings], str]:
        """Parse an attribute's name or its placeholder."""
        token = self.take()
        if token.startswith("#"):
            self.names.add(token)
            return lambda bindings: bindings.names[token]
        if not re.match("[A-Za-z_]", token):
            self.refuse(f'Syntax error; token: "{token}"')
        if token.upper() in _RESERVED:
            self.refuse(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        return lambda _bindings: token

    def operand(self) -> Operand:
        """Parse an attribute's name or a value."""
        if not self.is_at_end and self._tokens[self._position].startswith(":"):
            token = self.take()
            self.values.add(token)
            return lambda _item, bindings: bindings.values[token]
        name = self.attribute_name()
        return lambda item, bindings: item.get(name(bindings))

    # --- conditions

    def disjunction(self) -> Condition:
        """Parse conditions joined by OR."""
        first = self._conjunction()
        while self.accept("OR"):
            first = _either(first, self._conjunction())
        return first

    def _conjunction(self) -> Condition:
        first = self._term()
        while self.accept("AND"):
            first = _both(first, self._term())
        return first

    def _term(self) -> Condition:
        if self.accept("NOT"):
            negated = self._term()
            return lambda item, bindings: not negated(item, bindings)
        if self.accept("("):
            inner = self.disjunction()
            self.expect(")")
            return inner
        if function := self.accept("attribute_exists", "attribute_not_exists", "begins_with"):
            return self._function(function)
        return self._comparison(self.operand())

    def _function(self, function: str) -> Condition:
        self.expect("(")
        operand = self.operand()
        start = None
        if function == "begins_with":
            self.expect(",")
            start = self.operand()
        self.expect(")")
        if start is not None:
            return _begins_with(operand, start)
        exists = function == "attribute_exists"
        return lambda item, bindings: (operand(item, bindings) is not None) is exists

    def _comparison(self, left: Operand) -> Condition:
        if self.accept("BETWEEN"):
            low = self.operand()
            self.expect("AND")
            return _both(_ordered(">=", left, low), _ordered("<=", left, self.operand()))
        if self.accept("IN"):
            self.expect("(")
            options = [self.operand()]
            while self.accept(","):
                options.append(self.operand())
            self.expect(")")
            return lambda item, bindings: any(
                _equal(left(item, bindings), option(item, bindings)) for option in options
            )
        sign = self.accept("=", "<>", *_COMPARISONS)
        if not sign:
            self.refuse(f'Syntax error; token: "{self.take()}"')
        right = self.operand()
        if sign in _COMPARISONS:
            return _ordered(sign, left, right)
        wanted = sign == "="
        return lambda item, bindings: _equal(left(item, bindings), right(item, bindings)) is wanted

    # --- updates

    def assigned(self) -> Assignment:
        """Parse the right-hand side of a `SET`."""
        left = self._summand()
        sign = self.accept("+", "-")
        if not sign:
            return left
        right = self._summand()
        factor = 1 if sign == "+" else -1

        def sum_of(item: Item, bindings: Bindings) -> Value:
            return number(_addend(left(item, bindings)) + factor * _addend(right(item, bindings)))

        return sum_of

    def _summand(self) -> Assignment:
        function = self.accept("if_not_exists", "list_append")
        if not function:
            operand = self.operand()
            return lambda item, bindings: _existing(operand(item, bindings))
        self.expect("(")
        first = self.operand()
        self.expect(",")
        second = self.operand()
        self.expect(")")
        if function == "if_not_exists":
            return lambda item, bindings: first(item, bindings) or _existing(second(item, bindings))
        return lambda item, bindings: {
            "L": [*_existing(first(item, bindings))["L"], *_existing(second(item, bindings))["L"]]
        }


def _either(one: Condition, other: Condition) -> Condition:
    return lambda item, bindings: one(item, bindings) or other(item, bindings)


def _both(one: Condition, other: Condition) -> Condition:
    return lambda item, bindings: one(item, bindings) and other(item, bindings)


def _equal(one: Value | None, other: Value | None) -> bool:
    if one is None or other is None:
        return False
    ((kind, left),) = one.items()
    ((other_kind, right),) = other.items()
    if kind != other_kind:
        return False
    match kind:
        case "N":
            return Decimal(left) == Decimal(right)
        case "SS" | "BS":
            return set(left) == set(right)
        case "NS":
            return set(map(Decimal, left)) == set(map(Decimal, right))
    return bool(left == right)


def _ordered(sign: str, left: Operand, right: Operand) -> Condition:
    compare = _COMPARISONS[sign]

    def holds(item: Item, bindings: Bindings) -> bool:
        one, other = left(item, bindings), right(item, bindings)
        if one is None or other is None:
            return False
        ((kind, first),) = one.items()
        ((other_kind, second),) = other.items()
        if kind != other_kind or kind not in _ORDERED:
            return False
        if kind == "N":
            first, second = Decimal(first), Decimal(second)
        return compare(first, second)

    return holds


def _begins_with(operand: Operand, start: Operand) -> Condition:
    def holds(item: Item, bindings: Bindings) -> bool:
        value, wanted = operand(item, bindings), start(item, bindings)
        return value is not None and wanted is not None and str(value.get("S", "")).startswith(wanted["S"])

    return holds


def _existing(value: Value | None) -> Value:
    if value is None:
        invalid("The provided expression refers to an attribute that does not exist in the item")
    return value


def _addend(value: Value | None) -> Decimal:
    if "N" not in _existing(value):
        invalid("An operand in the update expression has an incorrect data type")
    return Decimal(_existing(value)["N"])


def _sum_of(name: Callable[[Bindings], str], addend: Operand) -> Assignment:
    """Return the assignment for `ADD`: a sum, or the union of two sets."""

    def sum_of(item: Item, bindings: Bindings) -> Value:
        value, there = addend(item, bindings), item.get(name(bindings))
        if value is None or (there is not None and there.keys() != value.keys()):
            invalid("An operand in the update expression has an incorrect data type")
        ((kind, what),) = value.items()
        match kind:
            case "N":
                return number((Decimal(there["N"]) if there else Decimal(0)) + Decimal(what))
            case "SS" | "NS" | "BS":
                return {kind: sorted({*(there[kind] if there else ()), *what})}
        invalid("Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD")

    return sum_of
