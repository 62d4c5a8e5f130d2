/** What a registry asks for in WWW-Authenticate (RFC 9110, 11.6.1; distribution's token authentication). */
export type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service?: string; readonly scope?: string };

/** Reads the challenges of an answer that Cairn can meet, in order; others are left out. */
export function parseChallenges(headers: readonly string[]): readonly Challenge[] {
  return headers.flatMap(parseHeader);
}

function parseHeader(header: string): readonly Challenge[] {
  const challenges: Challenge[] = [];
  let rest = header.trim();
  while (rest !== '') {
    const scheme = /^([A-Za-z][A-Za-z0-9-]*)(?:\s+|(?=,)|$)/.exec(rest);
    if (scheme === null) break;
    rest = rest.slice(scheme[0].length);
    const parameters = new Map<string, string>();
    for (;;) {
      const parameter = /^\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*/.exec(rest);
      if (parameter === null) break;
      const [all, name = '', quoted, bare = ''] = parameter;
      parameters.set(name.toLowerCase(), quoted === undefined ? bare : quoted.replace(/\\(.)/g, '$1'));
      rest = rest.slice(all.length);
    }
    const challenge = toChallenge(scheme[1] ?? '', parameters);
    if (challenge !== null) challenges.push(challenge);
    const next = /^\s*,\s*/.exec(rest);
    if (next === null) break;
    rest = rest.slice(next[0].length);
  }
  return challenges;
}

function toChallenge(scheme: string, parameters: ReadonlyMap<string, string>): Challenge | null {
  if (scheme.toLowerCase() === 'basic') return { scheme: 'basic' };
  const realm = parameters.get('realm');
  if (scheme.toLowerCase() !== 'bearer' || realm === undefined) return null;
  const service = parameters.get('service');
  const scope = parameters.get('scope');
  return {
    scheme: 'bearer',
    realm,
    ...(service === undefined ? {} : { service }),
    ...(scope === undefined ? {} : { scope }),
  };
}
