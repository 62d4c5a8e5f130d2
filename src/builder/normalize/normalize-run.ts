import type { LayerEntry } from '../../store/contracts.ts';
import { toBytes } from '../../sys/index.ts';
import { homeFolders } from './home-folders.ts';
import { type LayerViewOptions, layerView } from './layer-view.ts';
import { type Normalized, normalizeEntries } from './normalize-entries.ts';

/** Applies all rules to what a RUN changed; homes are those of the accounts below and of the ones it made. */
export function normalizeRun(entries: readonly LayerEntry[], options: LayerViewOptions): Normalized {
  const view = layerView(entries, options);
  const own = view.entry(toBytes('etc/passwd'));
  const passwd = own?.type === 'file' ? view.read(own, maxPasswdBytes)?.toString('latin1') : undefined;
  const homes = homeFolders(view.parentText('etc/passwd'), passwd ?? '');
  return normalizeEntries(entries, { ...options, homes });
}

const maxPasswdBytes = 1024 * 1024;
