import type { ImageUsage, StepUsage } from '../store/index.ts';
import { shortId } from './image/short-id.ts';

/** Images named in a cell; more are counted. */
const shownImages = 2;

/** Why a cached result is still there, and what would take it. */
export function stepKeptBy({ images, isLeased }: Pick<StepUsage, 'images' | 'isLeased'>): string {
  if (isLeased) return 'a running process';
  if (images.length === 0) return 'the cache only: "builder prune" takes it';
  const shown = images
    .slice(0, shownImages)
    .map((name) => (name.startsWith('sha256:') ? shortId(name) : name));
  const rest = images.length - shown.length;
  return `image ${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** Why an image is still there, and what would take it. */
export function imageKeptBy({ record, isLeased }: Pick<ImageUsage, 'record' | 'isLeased'>): string {
  if (isLeased) return 'a running process';
  if (record.tags.length > 0) return 'its name';
  return record.repoDigests.length > 0 ? 'its digest' : 'nothing: "image prune" takes it';
}
