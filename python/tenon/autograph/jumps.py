"""break, continue and return inside branches and loops become flags, so that every block has one way in and one way out.

A loop has a flag that ends it and one that skips the rest of an iteration; they are the same one where they can be. What
stands behind a statement that may jump runs where the flag is not set:

    while test:            done = False
        if a:              while not done and test:
            break              if a:
        work()                     done = True
                               else:
                                   work()
"""
import ast
import copy

from tenon.autograph import syntax

RETURNED, VALUE = "ag__returned", "ag__value"
_JUMPS = (ast.Return, ast.Break, ast.Continue)


def _jumps_of(statements):
    """What leaves these statements: some of Return, Break, Continue."""
    found = set()
    for statement in statements:
        if isinstance(statement, _JUMPS):
            found.add(type(statement))
        elif isinstance(statement, syntax.LOOPS):
            found |= _jumps_of(statement.body) & {ast.Return} | _jumps_of(statement.orelse)
        elif not isinstance(statement, syntax.SCOPES):
            for block in _blocks(statement):
                found |= _jumps_of(block)
    return found


def _blocks(statement):
    """The lists of statements inside of a statement."""
    for name in ("body", "orelse", "finalbody"):
        if getattr(statement, name, None):
            yield getattr(statement, name)
    for part in getattr(statement, "handlers", []) + getattr(statement, "cases", []):
        yield part.body


def _always_jumps(statements):
    if not statements:
        return False
    last = statements[-1]
    if isinstance(last, ast.If):
        return _always_jumps(last.body) and _always_jumps(last.orelse)
    return isinstance(last, _JUMPS)


def _flag(name, origin, value="True"):
    return syntax.statements(f"{name} = {value}", origin)[0]


class _Loop:
    """Names of the flags of a loop that is being rewritten; None where it needs none."""

    def __init__(self, jumps, number):
        breaks, skips = f"ag__break{number}", f"ag__continue{number}"
        self.ends = breaks if ast.Break in jumps else RETURNED if ast.Return in jumps else None
        self.skips = skips if ast.Continue in jumps else self.ends


class _Rewriter:
    def __init__(self, returns):
        self._returns = returns  # whether `return` becomes a flag
        self._loops = []
        self._count = 0

    def block(self, statements):
        out = []
        for i, statement in enumerate(statements):
            rest = statements[i + 1:]
            jumps = _jumps_of([statement])
            if not self._returns:
                jumps.discard(ast.Return)
            if isinstance(statement, _JUMPS):
                return out + self._jump(statement)
            if not jumps:
                out += self._inside(statement)
                continue
            if isinstance(statement, ast.If) and _always_jumps(statement.body):
                statement.orelse, rest = statement.orelse + rest, []
            elif isinstance(statement, ast.If) and _always_jumps(statement.orelse):
                statement.body, rest = statement.body + rest, []
            out += self._inside(statement)
            if not rest:
                return out
            flag = self._loops[-1].skips if self._loops else RETURNED
            # Setting the flag again tells a reader of both branches that it is set after either.
            return out + syntax.statements(f"if {flag}:\n  {flag} = True\nelse:\n  rest", rest[0], rest=self.block(rest))
        return out

    def _jump(self, statement):
        if isinstance(statement, ast.Return):
            if not self._returns:
                return [statement]
            value = statement.value or syntax.place(ast.Constant(None), statement)
            flags = [RETURNED] + [f for loop in self._loops for f in (loop.ends, loop.skips)]
            out = [syntax.assign(VALUE, value, statement)]
        else:
            loop = self._loops[-1]
            flags = [loop.skips] if isinstance(statement, ast.Continue) else [loop.ends, loop.skips]
            out = []
        return out + [_flag(name, statement) for name in dict.fromkeys(flags)]

    def _inside(self, statement):
        """The statement with its blocks rewritten, and what goes before it."""
        if isinstance(statement, syntax.LOOPS):
            return self._loop(statement)
        if isinstance(statement, ast.Try) and _jumps_of(statement.finalbody):
            raise syntax.Unsupported("a jump in a finally block")
        if isinstance(statement, ast.Try) and statement.orelse and _jumps_of(statement.body):
            flag = self._loops[-1].skips if self._loops else RETURNED
            statement.orelse = syntax.statements(f"if not {flag}:\n  rest", statement.orelse[0], rest=statement.orelse)
        if not isinstance(statement, syntax.SCOPES):
            for name in ("body", "orelse", "finalbody"):
                if getattr(statement, name, None):
                    setattr(statement, name, self.block(getattr(statement, name)))
            for part in getattr(statement, "handlers", []) + getattr(statement, "cases", []):
                part.body = self.block(part.body)
        return [statement]

    def _loop(self, statement):
        jumps = _jumps_of(statement.body)
        if not self._returns:
            jumps.discard(ast.Return)
        self._count += 1
        loop = _Loop(jumps, self._count)
        options = [s for s in statement.body if is_loop_options(s)]
        self._loops.append(loop)
        body = self.block([s for s in statement.body if s not in options])
        self._loops.pop()
        before = []
        if loop.skips not in (None, loop.ends):
            body.insert(0, _flag(loop.skips, statement, "False"))
        if loop.ends not in (None, RETURNED):
            before.append(_flag(loop.ends, statement, "False"))
        if isinstance(statement, ast.While) and any(isinstance(n, ast.NamedExpr) for n in ast.walk(statement.test)):
            self._test_in_body(statement, loop, before, body)
        orelse, statement.orelse = statement.orelse, []
        statement.body = body or syntax.statements("pass", statement)
        statement.options = options[0].value if options else None
        statement.ends = None
        if loop.ends and isinstance(statement, ast.While):
            statement.test = syntax.expression(f"not {loop.ends} and test", statement.test, test=statement.test)
        elif loop.ends:
            statement.ends = syntax.expression(loop.ends, statement)
        if orelse and loop.ends:
            orelse = syntax.statements(f"if not {loop.ends}:\n  rest", orelse[0], rest=self.block(orelse))
        elif orelse:
            orelse = self.block(orelse)
        return before + [statement] + orelse


    def _test_in_body(self, statement, loop, before, body):
        """A test that binds variables is made before the loop and at the end of an iteration, which share variables."""
        name, test = f"ag__test{self._count}", statement.test
        text = f"if not {loop.ends}:\n  {name} = test" if loop.ends else f"{name} = test"
        before += syntax.statements(f"{name} = test", test, test=test)
        body += syntax.statements(text, test, test=copy.deepcopy(test))
        statement.test = syntax.expression(name, test)


def is_loop_options(statement):
    """A call of set_loop_options(), which is said of the loop around it."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    function = statement.value.func
    return "set_loop_options" in (getattr(function, "attr", None), getattr(function, "id", None))


def rewrite(function):
    """Rewrites the body of a FunctionDef, in place, not those of functions inside of it."""
    inside = [s for s in syntax.own_nodes(function.body) if isinstance(s, (*syntax.LOOPS, ast.If))]
    returns = any(isinstance(n, ast.Return) for n in syntax.own_nodes(inside))
    body = _Rewriter(returns).block(function.body)
    if returns:
        start, end = function.body[0], body[-1]
        at = 1 if ast.get_docstring(function, False) is not None else 0
        body[at:at] = [_flag(RETURNED, start, "False"), _flag(VALUE, start, "ag__.no_value")]
        body += syntax.statements(f"return ag__.returned({RETURNED}, {VALUE})", end)
    function.body = body
