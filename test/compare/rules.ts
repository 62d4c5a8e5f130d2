import { rules as normalizeRules } from '../../src/builder/normalize/index.ts';
import { compilePatterns } from '../../src/builder/normalize/path-pattern.ts';
import type { Difference } from './difference.ts';

/** A documented difference (docs/reproducibility.md): what it covers is not counted. Times are never compared. */
export interface Rule {
  readonly name: string;
  readonly why: string;
  /** It holds for every fixture, named or not. */
  readonly isGeneral?: boolean;
  covers(difference: Difference): boolean;
}

const contentOf = (difference: Difference): boolean =>
  difference.area === 'file' && ['content', 'size'].includes(difference.field);

/** Rules by name. A fixture names those that it needs; `--rule NAME` adds one. */
export const rules: readonly Rule[] = [
  {
    name: 'apt',
    why: 'logs, caches and account dates that apt, dpkg, ldconfig and shadow write with the time of the run',
    covers: (difference) =>
      contentOf(difference) && APT_NOISE.some((pattern) => pattern.test(difference.where)),
  },
  {
    name: 'normalized',
    why: 'what Cairn\'s own rules take out of layers of RUN or rewrite (docs/reproducibility.md, "Known noise")',
    covers: (difference) => {
      const rule = difference.area === 'file' && normalized.find(({ paths }) => paths.test(difference.where));
      if (!rule) return false;
      const isMissing = difference.field === 'path' && difference.actual === undefined;
      return rule.isDropped ? isMissing : contentOf(difference);
    },
  },
  {
    name: 'mount-points',
    why: 'Docker leaves the folders on which it mounts in the layer of a RUN whose image lacks them; Cairn does not',
    isGeneral: true,
    covers: ({ area, where, field, expected, actual }) =>
      area === 'file' &&
      field === 'path' &&
      ['proc', 'sys', 'dev'].includes(where) &&
      actual === undefined &&
      expected?.startsWith('dir') === true,
  },
  {
    name: 'user-xattrs',
    why: 'dockerd without the containerd image store drops attributes other than security.capability from layers',
    covers: ({ field, expected }) => field.startsWith('xattr user.') && expected === undefined,
  },
  {
    name: 'block-devices',
    why: "BuildKit's COPY makes character devices of block devices; Cairn keeps them",
    covers: ({ field, expected, actual }) => field === 'type' && expected === 'char' && actual === 'block',
  },
  {
    name: 'history',
    why: 'texts of history entries, for peers whose BuildKit words them differently (before Docker 25)',
    covers: (difference) => difference.area === 'history' && difference.field === 'created_by',
  },
];

/** The rules that every comparison uses. */
export const generalRules: readonly Rule[] = rules.filter((rule) => rule.isGeneral === true);

/** Every account's home counts here. */
const normalized = normalizeRules.map(({ paths, action }) => ({
  isDropped: action.kind === 'drop',
  paths: new RegExp(
    paths.map((path) => compilePatterns([path.replace(/^~/, '**')], []).source).join('|'),
    's',
  ),
}));

const APT_NOISE = [
  /^var\/log\/(apt\/(history|term|eipp)\.log(\.xz)?|dpkg\.log|alternatives\.log|fontconfig\.log|faillog|lastlog)$/,
  /^var\/cache\/apt\/(src)?pkgcache\.bin$/,
  /^var\/cache\/ldconfig\/aux-cache$/,
  /^var\/lib\/apt\/(lists\/.*|extended_states)$/,
  /^var\/cache\/debconf\/.*\.dat(-old)?$/,
  /^etc\/g?shadow-?$/,
];

/** @throws {Error} for a name that no rule has */
export function ruleNamed(name: string): Rule {
  const rule = rules.find((candidate) => candidate.name === name);
  if (!rule) throw new Error(`no rule '${name}'; there are: ${rules.map((known) => known.name).join(', ')}`);
  return rule;
}
