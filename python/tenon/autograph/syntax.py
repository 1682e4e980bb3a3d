"""What the passes over a syntax tree share: which names a block binds, and nodes made from text."""
import ast

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (*FUNCTIONS, ast.ClassDef)
LOOPS = (ast.For, ast.While)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Unsupported(Exception):
    """What can not be converted: the function runs as it stands."""


def argument_names(arguments):
    """In the order of a code object's variables."""
    parts = arguments.posonlyargs + arguments.args + arguments.kwonlyargs
    parts += [part for part in (arguments.vararg, arguments.kwarg) if part is not None]
    return [part.arg for part in parts]


def own_nodes(nodes):
    """All nodes of the same scope, in the order of the text; of an inner function or class, only the node itself."""
    for node in nodes:
        yield node
        if not isinstance(node, SCOPES):
            yield from own_nodes(ast.iter_child_nodes(node))


def _target_names(node):
    """Names that `node` itself binds."""
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, (ast.Store, ast.Del)) else []
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.alias):
        return [(node.asname or node.name).split(".")[0]]
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return [node.name] if node.name else []
    if isinstance(node, ast.MatchMapping):
        return [node.rest] if node.rest else []
    return []


def bound_names(nodes):
    """Names that the nodes bind in their scope, each once, in order; variables of comprehensions are not of it."""
    names = {}

    def visit(node, inner):
        if isinstance(node, ast.NamedExpr):
            names[node.target.id] = True
            visit(node.value, inner)
            return
        if not inner:
            names.update(dict.fromkeys(_target_names(node)))
        if isinstance(node, SCOPES):
            return
        for child in ast.iter_child_nodes(node):
            visit(child, inner or isinstance(node, COMPREHENSIONS))

    for node in nodes:
        visit(node, False)
    return list(names)


_PLAIN_INDEX = (ast.Name, ast.Constant, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.Attribute, ast.unaryop, ast.operator,
                ast.expr_context)


def _root(node):
    """The names that an attribute or an element with a plain index is made of, None for others."""
    names = set()
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Subscript):
            parts = list(ast.walk(node.slice))
            if not all(isinstance(part, _PLAIN_INDEX) for part in parts):
                return None
            names |= {part.id for part in parts if isinstance(part, ast.Name)}
        elif not isinstance(node, ast.Attribute):
            return None
        node = node.value
    return names | {node.id}


def bound_members(nodes, names):
    """Attributes and elements (`self.x`, `d['k']`) that the nodes set, by their text, of objects that exist before."""
    members = {}
    for node in own_nodes(nodes):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            parts = _root(node)
            if parts is not None and not parts & set(names):
                members.setdefault(ast.unparse(node), node)
    return members


def is_generator(node):
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    return any(isinstance(n, (ast.Yield, ast.YieldFrom, ast.Await)) for n in own_nodes(body))


def is_left_alone(node):
    """An inner function that runs as it stands."""
    if isinstance(node, ast.AsyncFunctionDef) or is_generator(node):
        return True
    names = [d.attr if isinstance(d, ast.Attribute) else getattr(d, "id", None)
             for d in getattr(node, "decorator_list", [])]
    return "do_not_convert" in names


class _Fill(ast.NodeTransformer):
    def __init__(self, parts):
        self._parts = parts

    def visit_Name(self, node):
        return self._parts.get(node.id, node)

    def visit_Expr(self, node):
        if isinstance(node.value, ast.Name) and isinstance(self._parts.get(node.value.id), list):
            return self._parts[node.value.id]
        return self.generic_visit(node)


def statements(text, origin, **parts):
    """The statements of `text`, at the place of `origin`; names in it that `parts` has stand for nodes, or, where they are
    statements, for lists of statements."""
    tree = ast.parse(text)
    place(tree, origin)
    return _Fill(parts).visit(tree).body


def expression(text, origin, **parts):
    return statements(text, origin, **parts)[0].value


def place(tree, origin):
    """Puts all nodes at the place of `origin`; of what has many lines, the first: an error in a block is not in its end."""
    line, column = origin.lineno, origin.col_offset
    end = origin.end_col_offset if origin.end_lineno == line else column + 1
    for node in ast.walk(tree):
        if "lineno" in node._attributes:
            node.lineno = node.end_lineno = line
            node.col_offset, node.end_col_offset = column, end
    return tree


def assign(name, value, origin):
    return statements(f"{name} = value", origin, value=value)[0]


def load(node):
    """A copy of a target that reads it."""
    return ast.parse(ast.unparse(node), mode="eval").body
