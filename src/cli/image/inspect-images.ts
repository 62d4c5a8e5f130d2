import { CairnError } from '../../errors/index.ts';
import type { ImageRecord } from '../../store/contracts.ts';
import { applyInspectFormat, parseFormat, TemplateFailure } from '../format/index.ts';
import type { Host } from '../host.ts';
import type { OpenStore } from '../open-store.ts';
import { printError } from '../print-error.ts';
import { marshalJson } from '../template/index.ts';
import { asInterfaces, type ImageDocument, imageDocument } from './image-document.ts';
import { LayerSizes } from './image-size.ts';

export interface InspectOptions {
  readonly names: readonly string[];
  readonly format: string | undefined;
  /** Finds one object. @throws {CairnError} IMAGE_NOT_FOUND */
  readonly find: (name: string) => ImageRecord;
}

/**
 * Prints what was found, as a JSON array or by the format, then the errors.
 * @returns the exit code
 * @throws {TemplateFailure} 64 for a format that cannot be parsed
 */
export function inspectImages(host: Host, store: OpenStore, options: InspectOptions): number {
  const template = options.format === undefined ? null : parseFormat(options.format);
  const sizes = new LayerSizes(store);
  const documents: ImageDocument[] = [];
  const errors: CairnError[] = [];
  for (const name of options.names)
    try {
      const record = options.find(name);
      const manifestBytes = store.blobs.size(record.manifestDigest);
      documents.push(imageDocument(record, { contentBytes: sizes.ofImage(record), manifestBytes }));
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
      errors.push(error);
    }
  if (template === null)
    host.stdout.write(
      `${marshalJson(
        documents.map(({ raw }) => raw),
        { indent: 4 },
      )}\n`,
    );
  else {
    let text = '';
    for (const { typed, raw } of documents)
      try {
        text += `${applyInspectFormat(template, typed, asInterfaces(raw))}\n`;
      } catch (error) {
        if (!(error instanceof TemplateFailure)) throw error;
        // Docker ends the line that it never began.
        host.stdout.write(text === '' ? '\n' : text);
        throw error;
      }
    host.stdout.write(documents.length === 0 ? '\n' : text);
  }
  for (const error of errors) printError(host, error);
  return errors.length > 0 ? 1 : 0;
}
