import { createHash } from 'node:crypto';
import type { Digest } from '../../oci/index.ts';
import { isSecretName } from '../../parser/index.ts';
import type { InputFile } from './input-list.ts';

/** A variable that an instruction sees: `[kind, name, value]`. The value of one whose name speaks of a secret is a digest. */
export type AccountVariable = readonly [
  kind: 'argument' | 'environment variable',
  name: string,
  value: string,
  hidden?: 1,
];

/** A mount of RUN: what tells it apart, all that its key has but the files, and the name of the list of those. */
export interface AccountMount {
  readonly title: string;
  readonly settings: string;
  readonly files?: Digest;
}

/** A layer below a step: the beginning of its diffID, and what made it (`RUN make`, `FROM debian:12@sha256:…`). */
export type AccountLayer = readonly [diffId: string, origin: string];

/**
 * What a step's result depends on, for people: compared with that of another time to say why a result was not found. Every part of the
 * key shows here. Kept as text in the step's record; secrets never get here.
 */
export interface StepAccount {
  /** `run`, `copy`, `add`, `workdir`. */
  readonly kind: string;
  /** The instruction as written, with one blank for each run of them. */
  readonly written: string;
  /** What of the text counts, after expansion. */
  readonly instruction: string;
  /** Variables that expanding the instruction used. */
  readonly used?: readonly AccountVariable[];
  /** Variables that a command sees. */
  readonly environment?: readonly AccountVariable[];
  /** SHELL of a shell-form command. */
  readonly shell?: string;
  /** Which files COPY and ADD select: sources and exclude patterns. */
  readonly selection?: string;
  /** Name of the list of those files. */
  readonly files?: Digest;
  readonly mounts?: readonly AccountMount[];
  /** Lines of the ignore file. */
  readonly ignored?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Layers of the parent, base first. */
  readonly base: readonly AccountLayer[];
}

/** Lists of input files that an account names, made when they are needed. */
export type AccountLists = ReadonlyMap<Digest, () => readonly InputFile[]>;

/** One blank for each run of blanks and line ends, so that layout is no difference. */
export function normalizeText(source: string): string {
  return source
    .replace(/[\\`][ \t]*\r?\n/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/** @param isArgument - it comes from ARG, not ENV. */
export function accountVariable(name: string, value: string, isArgument: boolean): AccountVariable {
  const kind = isArgument ? 'argument' : 'environment variable';
  if (!isSecretName(name)) return [kind, name, value];
  return [kind, name, createHash('sha256').update(value).digest('hex').slice(0, 16), 1];
}

/** An account as the text parts of a record. */
export function toComponents(account: StepAccount): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(account).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  );
}

/** @returns null for a record that is none of ours, or by content only */
export function fromComponents(components: Readonly<Record<string, string>>): StepAccount | null {
  const { kind, written, instruction, settings, base } = components;
  if (kind === undefined || written === undefined || instruction === undefined) return null;
  if (settings === undefined || base === undefined) return null;
  try {
    const parsed = Object.entries(components).map(([name, value]) => [
      name,
      structured.has(name) ? (JSON.parse(value) as unknown) : value,
    ]);
    return Object.fromEntries(parsed) as StepAccount;
  } catch {
    return null;
  }
}

const structured = new Set(['used', 'environment', 'mounts', 'ignored', 'settings', 'base']);
