import { toText } from '../../sys/index.ts';
import type { Detail } from './cause.ts';
import { compareLayers, type EntryDifference } from './compare-layers.ts';
import { type Circumstances, evidenceAt } from './evidence.ts';
import { examineFile } from './examine-file.ts';
import { withFileBytes } from './file-bytes.ts';
import type { LayerFile } from './laboratory.ts';

/**
 * What differs between two layers, with all that names, attributes and contents tell about it. In byte order of the paths; empty for layers
 * that are the same.
 */
export function describeDifferences(
  before: LayerFile,
  after: LayerFile,
  circumstances: Circumstances,
): readonly EntryDifference[] {
  const differences = compareLayers(before.toc, after.toc);
  return withNameEvidence(
    differences.map((difference) => described(difference, before, after, circumstances)),
    circumstances,
  );
}

function described(
  difference: EntryDifference,
  before: LayerFile,
  after: LayerFile,
  circumstances: Circumstances,
): EntryDifference {
  const { content, path } = difference;
  const details = difference.details.map((detail) => withEvidence(detail, circumstances));
  if (content === undefined) return { ...difference, details };
  const inside = withFileBytes(before.tar, content[0], (a) =>
    withFileBytes(after.tar, content[1], (b) => examineFile(a, b, { path: toText(path), circumstances })),
  );
  return { ...difference, details: [...details, ...inside] };
}

/** The target of a link tells as much as a content. Numbers (a size, a mode) tell nothing. */
function withEvidence(detail: Detail, circumstances: Circumstances): Detail {
  const { what, before, after } = detail;
  if (what !== 'link target' || before === undefined || after === undefined) return detail;
  return { ...detail, ...evidenceOf(before, after, circumstances) };
}

function evidenceOf(
  before: string,
  after: string,
  circumstances: Circumstances,
): ReturnType<typeof evidenceAt> {
  const [a, b] = [Buffer.from(before, 'latin1'), Buffer.from(after, 'latin1')];
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return evidenceAt(a, b, at, circumstances);
}

/** Where one name went and another one came in the same folder, the two names tell as much as contents would. */
function withNameEvidence(
  differences: readonly EntryDifference[],
  circumstances: Circumstances,
): readonly EntryDifference[] {
  const onlyOne = (what: RegExp) => differences.filter(({ details }) => what.test(details[0]?.what ?? ''));
  const gone = onlyOne(/missing from the new layer$/);
  const come = onlyOne(/only in the new layer$/);
  const evidence = new Map<string, ReturnType<typeof evidenceAt>>();
  for (const old of gone) {
    const fresh = come.find(({ path }) => folderOf(path) === folderOf(old.path) && !evidence.has(path));
    if (fresh === undefined) continue;
    const found = evidenceOf(`/${old.path}`, `/${fresh.path}`, circumstances);
    evidence.set(old.path, found);
    evidence.set(fresh.path, found);
  }
  return differences.map((difference) => {
    const found = evidence.get(difference.path);
    if (!found) return difference;
    return { ...difference, details: difference.details.map((detail) => ({ ...found, ...detail })) };
  });
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
