/** Tokens of Go's text/template; keywords and punctuation are their own kind. */
export type TokenKind =
  | 'text'
  | 'left'
  | 'right'
  | 'space'
  | 'identifier'
  | 'keyword'
  | 'field'
  | 'variable'
  | 'dot'
  | 'nil'
  | 'bool'
  | 'number'
  | 'string'
  | 'char'
  | 'pipe'
  | 'comma'
  | 'declare'
  | 'assign'
  /** Punctuation without a meaning: the parser refuses it. */
  | 'symbol'
  | '('
  | ')'
  | 'error'
  | 'eof';

export interface Token {
  readonly kind: TokenKind;
  /** Source text, or the message of an error. */
  readonly text: string;
  /** Offset in UTF-16 code units. */
  readonly offset: number;
}

const keywords = new Set([
  'block',
  'break',
  'continue',
  'define',
  'else',
  'end',
  'if',
  'range',
  'template',
  'with',
]);

/**
 * Splits a template into tokens. `{{-` and `-}}` trim the text beside them, comments vanish; the first mistake
 * ends the list with an `error` token, else `eof` does.
 */
export function lexTemplate(source: string): Token[] {
  const tokens: Token[] = [];
  let offset = 0;
  let trimNext = false;
  for (;;) {
    const open = source.indexOf('{{', offset);
    const trimsLeft = open >= 0 && /^\{\{-[ \t\r\n]/.test(source.slice(open, open + 4));
    let text = source.slice(offset, open < 0 ? source.length : open);
    if (trimNext) text = text.replace(/^[ \t\r\n]+/, '');
    if (trimsLeft) text = text.replace(/[ \t\r\n]+$/, '');
    if (text !== '') tokens.push({ kind: 'text', text, offset });
    if (open < 0) {
      tokens.push({ kind: 'eof', text: '', offset: source.length });
      return tokens;
    }
    const start = open + (trimsLeft ? 3 : 2);
    const comment = /^[ \t\r\n]?\/\*/.exec(source.slice(start, start + 3));
    if (comment) {
      const end = source.indexOf('*/', start);
      const close = end < 0 ? null : /^([ \t\r\n]-)?\}\}/.exec(source.slice(end + 2));
      if (end < 0 || !close) {
        tokens.push({
          kind: 'error',
          text: end < 0 ? 'unclosed comment' : 'comment ends before closing delimiter',
          offset: start,
        });
        return tokens;
      }
      trimNext = close[1] !== undefined;
      offset = end + 2 + close[0].length;
      continue;
    }
    tokens.push({ kind: 'left', text: '{{', offset: open });
    const inside = lexAction(source, start, tokens);
    if (inside === null) return tokens;
    offset = inside.offset;
    trimNext = inside.trims;
  }
}

/** Lexes up to and including `}}`; null after an error token. */
function lexAction(
  source: string,
  start: number,
  tokens: Token[],
): { offset: number; trims: boolean } | null {
  let offset = start;
  let depth = 0;
  const fail = (text: string): null => {
    tokens.push({ kind: 'error', text, offset });
    return null;
  };
  for (;;) {
    const rest = source.slice(offset);
    const close = /^(?:[ \t\r\n]+-)?\}\}/.exec(rest);
    if (close) {
      if (depth > 0) return fail('unclosed left paren');
      tokens.push({ kind: 'right', text: '}}', offset });
      return { offset: offset + close[0].length, trims: close[0].length > 2 };
    }
    if (rest === '') return fail('unclosed action');
    const token = nextToken(rest, offset);
    if (token.kind === 'error') return fail(token.text);
    if (token.kind === '(') depth++;
    if (token.kind === ')' && --depth < 0) return fail('unexpected right paren');
    tokens.push(token);
    offset += token.text.length;
  }
}

const patterns: readonly (readonly [TokenKind, RegExp])[] = [
  ['space', /^[ \t\r\n]+/],
  ['string', /^"(?:\\[^\n]|[^"\\\n])*"/],
  ['string', /^`[^`]*`/],
  ['char', /^'(?:\\[^\n]|[^'\\\n])+'/],
  ['number', /^[+-]?(?:\.\d|\d)(?:[\p{L}\p{N}_.]|(?<=[eEpP])[+-])*/u],
  ['field', /^\.[\p{L}_][\p{L}\p{N}_]*/u],
  ['dot', /^\./],
  ['variable', /^\$[\p{L}\p{N}_]*/u],
  ['identifier', /^[\p{L}_][\p{L}\p{N}_]*/u],
  ['declare', /^:=/],
  ['assign', /^=/],
  ['pipe', /^\|/],
  ['comma', /^,/],
  ['(', /^\(/],
  [')', /^\)/],
];

const numberSyntax =
  /^[+-]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|\d[\d_]*(?:\.[\d_]*)?(?:[eE][+-]?\d+)?|\.\d[\d_]*(?:[eE][+-]?\d+)?)$/;

function nextToken(rest: string, offset: number): Token {
  const error = (text: string): Token => ({ kind: 'error', text, offset });
  for (const [kind, pattern] of patterns) {
    const text = pattern.exec(rest)?.[0];
    if (text === undefined) continue;
    const after = rest.slice(text.length);
    if (kind === 'number' && !numberSyntax.test(text)) return error(`bad number syntax: "${text}"`);
    if (['field', 'variable', 'identifier'].includes(kind) && !atTerminator(after))
      return error(`bad character ${unicode(after)}`);
    if (kind !== 'identifier') return { kind, text, offset };
    if (text === 'true' || text === 'false') return { kind: 'bool', text, offset };
    if (text === 'nil') return { kind: 'nil', text, offset };
    return { kind: keywords.has(text) ? 'keyword' : 'identifier', text, offset };
  }
  if (rest[0] === '"') return error('unterminated quoted string');
  if (rest[0] === '`') return error('unterminated raw quoted string');
  if (rest[0] === "'") return error('unterminated character constant');
  if (rest[0] === ':') return error('expected :=');
  if (/^[\x21-\x7e]/.test(rest)) return { kind: 'symbol', text: rest.charAt(0), offset };
  return error(`unrecognized character in action: ${unicode(rest)}`);
}

/** What may follow a field, variable or identifier. */
function atTerminator(after: string): boolean {
  return after === '' || /^(?:[ \t\r\n.,|:()=]|\}\})/.test(after);
}

/** Go's `%#U`. */
function unicode(text: string): string {
  const char = String.fromCodePoint(text.codePointAt(0) ?? 0);
  return `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')} '${char}'`;
}
