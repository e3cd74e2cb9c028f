/** Expressions of GitHub Actions, as far as our workflows use them. What is not known is refused. Pure. */
export type Value = string | boolean | { readonly [name: string]: Value | readonly unknown[] | undefined };

export interface Scope {
  readonly contexts: Readonly<Record<string, Value>>;
  /** Whether something failed before. Nothing is ever cancelled here. */
  readonly failed: boolean;
}

/** Puts the values of `${{ … }}` into a text. @throws Error for what is not known */
export function resolveText(text: string, scope: Scope): string {
  return text.replaceAll(/\$\{\{(.*?)\}\}/gs, (_, expression: string) => {
    const value = evaluate(expression, scope);
    if (typeof value === "object") throw new Error(`${expression} is no text`);
    return String(value);
  });
}

export function isTrue(value: Value): boolean {
  return value !== "" && value !== false;
}

/** @throws Error for what is not known: an operator, a function, a context, or a member that nobody gave */
export function evaluate(expression: string, scope: Scope): Value {
  const tokens = expression.match(/'(?:[^']|'')*'|&&|\|\||==|!=|[!()]|[A-Za-z_][\w.-]*|\S/g) ?? [];
  let at = 0;
  const take = (token: string): boolean => {
    if (tokens[at] !== token) return false;
    at += 1;
    return true;
  };
  const need = (token: string): void => {
    if (!take(token)) throw new Error(`${expression}: ${token} is missing`);
  };

  function either(): Value {
    let value = both();
    while (take("||")) {
      const other = both();
      if (!isTrue(value)) value = other;
    }
    return value;
  }
  function both(): Value {
    let value = equal();
    while (take("&&")) {
      const other = equal();
      if (isTrue(value)) value = other;
    }
    return value;
  }
  function equal(): Value {
    const value = not();
    if (take("==")) return value === not();
    if (take("!=")) return value !== not();
    return value;
  }
  function not(): Value {
    return take("!") ? !isTrue(not()) : single();
  }
  function single(): Value {
    if (take("(")) {
      const value = either();
      need(")");
      return value;
    }
    const token = tokens[at++] ?? "";
    if (token.startsWith("'")) return token.slice(1, -1).replaceAll("''", "'");
    if (take("(")) {
      need(")");
      return call(token, scope);
    }
    return lookUp(token, scope);
  }

  const value = either();
  if (at < tokens.length) throw new Error(`${expression}: ${tokens[at]} is not known here`);
  return value;
}

function call(name: string, { failed }: Scope): boolean {
  const answers: Readonly<Record<string, boolean>> = {
    always: true,
    cancelled: false,
    failure: failed,
    success: !failed,
  };
  const answer = answers[name];
  if (answer === undefined) throw new Error(`the function ${name} is not known here`);
  return answer;
}

/** Outputs that a step did not write are empty, as there. All else has to have been given. */
function lookUp(name: string, { contexts }: Scope): Value {
  let value: unknown = contexts;
  for (const part of name.split(".")) value = Object(value)[part];
  if (value === undefined && /^(?:steps|needs)\.\w+\.outputs\.\w+$/.test(name)) return "";
  if (typeof value === "string" || typeof value === "boolean") return value;
  throw new Error(`${name} is not known here`);
}
