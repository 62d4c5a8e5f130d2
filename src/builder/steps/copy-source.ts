import { CairnError, type Span } from '../../errors/index.ts';
import { type Digest, isDigest } from '../../oci/index.ts';
import { type AddInstruction, type CopyInstruction, expandHeredoc, type Word } from '../../parser/index.ts';
import { redactUrl } from '../../registry/http/index.ts';
import { toBytes } from '../../sys/index.ts';
import type { SourceTree } from '../copy/source-tree.ts';
import { TextTree } from '../copy/text-tree.ts';
import type { StageSource } from '../plan.ts';
import type { GitSource } from '../remote/git-url.ts';
import { parseSourceUrl } from '../remote/source-url.ts';
import type { BuildSession } from '../session.ts';
import type { StageState } from '../stage-state.ts';
import { expandIn, lookup } from './metadata.ts';

/** One source argument of COPY or ADD: files, and how they are taken. */
export interface CopySource {
  readonly tree: SourceTree;
  /** As written, expanded; shown, so without credentials. */
  readonly text: string;
  readonly word: Word;
  /** `paths`: `text` is a glob, folders stand for their contents; `root`: the whole tree; `file`: its only file. */
  readonly takes: 'paths' | 'root' | 'file';
  /** Files that are archives are unpacked. */
  readonly unpack: boolean;
  /** The time that a copied node gets. */
  readonly mtimeOf: (node: { readonly mtime: number }) => number;
}

/** What `--from` names. */
export interface CopyFrom {
  readonly source: StageSource;
  readonly tree: SourceTree;
}

/**
 * Finds out what the sources of an instruction are, in order, and fetches those that are elsewhere.
 * @throws {CairnError} SOURCE_NEEDS_ADD, CHECKSUM_INVALID, FLAG_VALUE_INVALID, and what fetching throws
 */
export async function resolveCopySources(
  session: BuildSession,
  state: StageState,
  instruction: CopyInstruction | AddInstruction,
  from: CopyFrom | null,
): Promise<readonly CopySource[]> {
  const resolver = new SourceResolver(session, state, instruction);
  const named = instruction.sources.map((word) => resolver.read(word));
  resolver.checkChecksum(named.map(({ kind }) => kind));
  const sources = await Promise.all(
    named.map((each) => {
      if (each.kind === 'local') return resolver.local(each, from);
      return each.kind === 'http' ? resolver.file(each) : resolver.repository(each);
    }),
  );
  return [...sources, ...resolver.heredocs()];
}

type NamedSource = ReturnType<typeof parseSourceUrl> & { readonly text: string; readonly word: Word };
type Named<Kind> = Extract<NamedSource, { readonly kind: Kind }>;

class SourceResolver {
  readonly #session: BuildSession;
  readonly #state: StageState;
  readonly #instruction: CopyInstruction | AddInstruction;
  readonly #checksum: string;

  constructor(session: BuildSession, state: StageState, instruction: CopyInstruction | AddInstruction) {
    this.#session = session;
    this.#state = state;
    this.#instruction = instruction;
    const word = instruction.kind === 'add' ? instruction.checksum : undefined;
    this.#checksum = word ? expandIn(state, word, session) : '';
  }

  read(word: Word): NamedSource {
    const text = expandIn(this.#state, word, this.#session);
    const source = parseSourceUrl(text);
    if (source.kind !== 'local' && this.#instruction.kind === 'copy')
      throw needsAdd(source.kind, text, word.span);
    return { ...source, text, word };
  }

  checkChecksum(kinds: readonly NamedSource['kind'][]): void {
    if (this.#checksum === '') return;
    if (kinds.length !== 1) throw this.#checksumInvalid('--checksum cannot be given for several sources');
    if (kinds[0] === 'local') throw this.#checksumInvalid('--checksum is for URLs and git repositories only');
  }

  local({ text, word }: NamedSource, from: CopyFrom | null): CopySource {
    const { epoch, preserveTimes } = this.#session;
    const tree = from?.tree ?? this.#session.context();
    // A checkout's times are nobody's content; files of a layer keep theirs.
    const isContext = from === null || from.source.kind === 'context';
    const mtimeOf = isContext && !preserveTimes ? () => epoch : this.#keptTime;
    const unpack = this.#instruction.kind === 'add' && (this.#instruction.unpack ?? true);
    return { tree, text, word, takes: 'paths', unpack, mtimeOf };
  }

  async file(source: Named<'http'>): Promise<CopySource> {
    const { text, word } = source;
    const checksum = this.#checksum === '' ? undefined : this.#digest();
    const tree = await this.#session.remote.file(source, checksum);
    const unpack = this.#instruction.kind === 'add' && (this.#instruction.unpack ?? false);
    return { tree, text: redactUrl(text), word, takes: 'file', unpack, mtimeOf: this.#keptTime };
  }

  async repository({ text, word, ...named }: Named<'git'>): Promise<CopySource> {
    const source = this.#withFlags(named, word.span);
    const { tree, commitTime } = await this.#session.remote.repository(source);
    const { epoch, preserveTimes } = this.#session;
    const time = preserveTimes ? commitTime : source.mtime === 'commit' ? Math.min(commitTime, epoch) : epoch;
    return { tree, text: redactUrl(text), word, takes: 'root', unpack: false, mtimeOf: () => time };
  }

  heredocs(): readonly CopySource[] {
    const { epoch } = this.#session;
    return this.#instruction.heredocs.map((heredoc) => {
      const body = heredoc.expand
        ? expandHeredoc(heredoc.body, lookup(this.#state), heredoc.word.span).text
        : heredoc.body;
      const tree = new TextTree(toBytes(heredoc.name), Buffer.from(body, 'utf8'));
      const shared = { text: `<<${heredoc.name}`, word: heredoc.word, unpack: false, mtimeOf: () => epoch };
      return { tree, takes: 'file', ...shared };
    });
  }

  /** Files that come with a time of their own keep it, unless it is newer than the build's. */
  readonly #keptTime = ({ mtime }: { readonly mtime: number }) =>
    this.#session.preserveTimes ? mtime : Math.min(mtime, this.#session.epoch);

  /** What flags and the URL both say must agree. */
  #withFlags(source: GitSource, at: Span): GitSource {
    const flag = this.#instruction.kind === 'add' ? this.#instruction.keepGitDir : undefined;
    if (flag !== undefined && source.keepGitDir !== undefined && flag !== source.keepGitDir)
      throw new CairnError('FLAG_VALUE_INVALID', {
        message: 'the flag --keep-git-dir and keep-git-dir in the URL contradict each other',
        at,
        help: 'say it in one place only',
      });
    if (this.#checksum !== '' && source.checksum !== undefined && source.checksum !== this.#checksum)
      throw this.#checksumInvalid(
        `--checksum=${this.#checksum} and checksum=${source.checksum} in the URL differ`,
      );
    const keepGitDir = source.keepGitDir ?? flag;
    const checksum = this.#checksum === '' ? source.checksum : this.#checksum;
    return {
      ...source,
      ...(keepGitDir === undefined ? {} : { keepGitDir }),
      ...(checksum === undefined ? {} : { checksum }),
    };
  }

  #digest(): Digest {
    if (isDigest(this.#checksum)) return this.#checksum;
    throw this.#checksumInvalid(`invalid checksum "${this.#checksum}" for a URL`);
  }

  #checksumInvalid(message: string): CairnError {
    const word = this.#instruction.kind === 'add' ? this.#instruction.checksum : undefined;
    return new CairnError('CHECKSUM_INVALID', {
      message,
      ...(word ? { at: word.span } : {}),
      help: 'a URL takes sha256: and 64 hex digits, a git repository a commit ID or its beginning',
    });
  }
}

function needsAdd(kind: 'http' | 'git', text: string, at: Span): CairnError {
  const what = kind === 'http' ? 'a URL' : 'a git repository';
  return new CairnError('SOURCE_NEEDS_ADD', {
    message: `COPY cannot take ${what} as source: "${redactUrl(text)}"`,
    at,
    help: 'use ADD for it',
  });
}
