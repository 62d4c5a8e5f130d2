import type { StepCache, StepRecord } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';
import { toText } from '../../sys/index.ts';
import { type AccountVariable, fromComponents, type StepAccount } from './account.ts';
import { decodeInputs } from './input-list.ts';

/** A part of what a result depends on: what it is, and its value or values. */
export interface RecordPart {
  readonly name: string;
  readonly values: readonly string[];
}

/** What a cached result depends on, for people, in the order in which causes are named. Empty for a record by content. */
export function describeRecord(steps: StepCache, record: StepRecord): readonly RecordPart[] {
  const account = fromComponents(record.components);
  return account === null ? [] : partsOf(steps, account).filter(({ values }) => values.length > 0);
}

function partsOf(steps: StepCache, account: StepAccount): readonly RecordPart[] {
  const one = (text: string | undefined) => (text === undefined || text === '' ? [] : [text]);
  return [
    { name: 'instruction', values: [account.written] },
    { name: 'variables', values: (account.environment ?? account.used ?? []).map(variableText) },
    { name: 'user', values: one(account.user) },
    { name: 'working folder', values: one(account.workdir) },
    { name: 'files', values: account.files === undefined ? [] : fileTexts(steps, account.files) },
    { name: 'mounts', values: (account.mounts ?? []).map(({ title }) => title) },
    {
      name: 'options',
      values: Object.entries(account.settings).flatMap(([name, value]) =>
        value === '' ? [] : [`${name} ${value}`],
      ),
    },
    { name: 'built on', values: account.base.map(([diffId, origin]) => `${diffId.slice(0, 12)} ${origin}`) },
  ];
}

function variableText([kind, name, value, hidden]: AccountVariable): string {
  return `${kind} ${name}${hidden ? ' (its value is not shown)' : `=${value}`}`;
}

function fileTexts(steps: StepCache, name: Parameters<StepCache['inputs']>[0]): readonly string[] {
  const bytes = steps.inputs(name);
  const files = bytes === null ? null : decodeInputs(bytes);
  if (files === null) return ['(their list is gone)'];
  return files.map(([type, mode, uid, gid, , size, content, , , path]) => {
    const detail = type === 'file' ? ` ${size} bytes ${content.slice(0, 12)}` : '';
    const link = type === 'symlink' ? ` -> ${toText(content as ByteString)}` : '';
    return `${toText(path as ByteString) || '/'} ${type} ${mode} ${uid}:${gid}${detail}${link}`;
  });
}
