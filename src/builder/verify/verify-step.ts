import { toText } from '../../sys/index.ts';
import type { RunStep } from '../record/build-trail.ts';
import type { Cause, Detail } from './cause.ts';
import { compareLayers, type EntryDifference } from './compare-layers.ts';
import { describeDifferences } from './describe-differences.ts';
import { fixFor } from './fix-for.ts';
import { type Attempt, type Laboratory, type LayerFile, variedHostname } from './laboratory.ts';
import { noVariation, type RunVariation } from './run-again.ts';

/** A path of a layer that differs, what of it, why, and the line that would fix it. */
export interface Finding {
  /** Without a leading slash; '' when the command itself behaves differently. */
  readonly path: string;
  readonly details: readonly Detail[];
  readonly cause: Cause;
  readonly fix: string;
}

/** The host name of every build (steps/run.ts). */
const hostname = 'buildkitsandbox';

/**
 * Executes a RUN again with everything varied at once, and, when its layer differs, a bounded number of times more to tell causes apart: the
 * bytes often tell; else the same once more, each dimension by itself, and with the clock held.
 * @returns nothing for a result that is the same
 */
export function verifyStep(
  step: RunStep,
  recorded: LayerFile,
  laboratory: Laboratory,
): Promise<readonly Finding[]> {
  return new StepVerification(step, recorded, laboratory).run();
}

class StepVerification {
  readonly #step: RunStep;
  readonly #recorded: LayerFile;
  readonly #laboratory: Laboratory;

  constructor(step: RunStep, recorded: LayerFile, laboratory: Laboratory) {
    this.#step = step;
    this.#recorded = recorded;
    this.#laboratory = laboratory;
  }

  async run(): Promise<readonly Finding[]> {
    const everything = Object.assign({}, ...this.#laboratory.dimensions().map(({ variation }) => variation));
    const { clock, ...others } = everything as RunVariation;
    let attempt = await this.#laboratory.attempt(everything);
    let differences = this.#differences(attempt);
    // A clock that is not the machine's shows (its library, its variables), and may break programs: that says nothing.
    if (clock !== undefined && (differences === null || differences.some(isArtefact))) {
      attempt = await this.#laboratory.attempt(others);
      differences = this.#differences(attempt);
    }
    if (differences === null) return [await this.#failure(attempt)];
    if (differences.length === 0) return [];
    const causes = new Map(
      differences.map((difference) => [difference.path as string, certainCause(difference)]),
    );
    const open = [...causes].filter(([, cause]) => cause === null).map(([path]) => path);
    if (open.length > 0)
      for (const [path, cause] of await this.#findCauses(new Set(open))) causes.set(path, cause);
    return differences.map((difference) => this.#finding(difference, causes.get(difference.path) ?? null));
  }

  #finding({ path, details }: EntryDifference, found: Cause | null): Finding {
    const cause = found ?? details.find((detail) => detail.cause !== undefined)?.cause ?? 'environment';
    const given = details.find(
      (detail) => detail.fix !== undefined && (detail.cause ?? cause) === cause,
    )?.fix;
    const fix =
      given ?? fixFor(cause, toText(path), this.#step.argv.join(' '), this.#step.run.script?.body ?? '');
    return { path: toText(path), details, cause, fix };
  }

  /** @returns null when the command failed */
  #differences(attempt: Attempt): readonly EntryDifference[] | null {
    if ('error' in attempt) return null;
    return describeDifferences(this.#recorded, attempt, {
      hostnames: [hostname, variedHostname],
      hostPaths: this.#laboratory.hostPaths,
    });
  }

  /** Paths that differ from what is recorded. */
  #differing(attempt: Attempt): ReadonlySet<string> {
    if ('error' in attempt) return new Set();
    return new Set(compareLayers(this.#recorded.toc, attempt.toc).map(({ path }) => path));
  }

  async #findCauses(open: Set<string>): Promise<ReadonlyMap<string, Cause>> {
    const causes = new Map<string, Cause>();
    const decide = (path: string, cause: Cause): void => {
      open.delete(path);
      causes.set(path, cause);
    };
    const usual = await this.#laboratory.attempt(noVariation);
    const inherent = this.#differing(usual);
    const moving = [...open].filter((path) => inherent.has(path));
    for (const path of moving) open.delete(path);
    for (const { cause, variation } of this.#laboratory.dimensions()) {
      if (open.size === 0) break;
      const differing = this.#differing(await this.#laboratory.attempt(variation));
      for (const path of [...open]) if (differing.has(path)) decide(path, cause);
    }
    for (const [path, cause] of await this.#causesOfMoving(moving)) decide(path, cause);
    return causes;
  }

  /** Of what differs each time: the clock when two executions at one time agree, the network when there must be one. */
  async #causesOfMoving(paths: readonly string[]): Promise<ReadonlyMap<string, Cause>> {
    if (paths.length === 0) return new Map();
    const [first, second] = await this.#twoAtOneTime();
    const apart = differingPaths(first, second);
    const random = paths.filter((path) => apart.has(path));
    const others = random.length === 0 ? 'randomness' : await this.#randomOrNetwork();
    return new Map(paths.map((path) => [path, apart.has(path) ? others : 'clock'] as const));
  }

  async #twoAtOneTime(): Promise<readonly [Attempt, Attempt]> {
    const library = this.#laboratory.clockLibrary();
    if (library !== null) {
      const held = { clock: { library, frozenAt: 1_700_000_000 } };
      const attempts = [await this.#laboratory.attempt(held), await this.#laboratory.attempt(held)] as const;
      if (attempts.every((attempt) => 'toc' in attempt)) return attempts;
    }
    // Without a clock to hold: side by side, from the beginning of a second on.
    await new Promise((resolve) => setTimeout(resolve, 1000 - (this.#laboratory.now() % 1000)));
    return Promise.all([this.#laboratory.attempt(noVariation), this.#laboratory.attempt(noVariation)]);
  }

  async #randomOrNetwork(): Promise<Cause> {
    if (this.#step.run.network === 'none') return 'randomness';
    const offline = await this.#laboratory.attempt({ network: 'none' });
    return 'error' in offline ? 'network' : 'randomness';
  }

  /** The command fails when everything is varied: which of it is the reason? */
  async #failure(attempt: Attempt): Promise<Finding> {
    const message = 'error' in attempt ? attempt.error.message : '';
    const finding = (cause: Cause, what: string): Finding => ({
      path: '',
      details: [{ what, after: message, cause }],
      cause,
      fix: fixFor(cause, this.#step.argv.join(' ')),
    });
    if ('error' in (await this.#laboratory.attempt(noVariation)))
      return finding('environment', 'the command fails when it is executed again');
    for (const { cause, variation } of this.#laboratory.dimensions())
      if ('error' in (await this.#laboratory.attempt(variation)))
        return finding(cause, 'the command fails in another environment');
    return finding('environment', 'the command fails in another environment');
  }
}

function differingPaths(a: Attempt, b: Attempt): ReadonlySet<string> {
  if ('error' in a || 'error' in b) return new Set();
  return new Set(compareLayers(a.toc, b.toc).map(({ path }) => path));
}

function isArtefact({ details }: EntryDifference): boolean {
  return details.some((detail) => detail.isArtefact);
}

/** What bytes alone cannot tell apart: a digest of the time looks random, a directory's order like that of a hash table. */
const doubtful: ReadonlySet<Cause> = new Set(['randomness', 'hash-order']);

function certainCause({ details }: EntryDifference): Cause | null {
  return details.find(({ cause }) => cause !== undefined && !doubtful.has(cause))?.cause ?? null;
}
