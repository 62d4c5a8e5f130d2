import { applyFormat, TemplateFailure } from './format/index.ts';
import type { Host } from './host.ts';
import type { GoValue, ParsedTemplate } from './template/index.ts';

/** Prints a document by a format; where that fails, the line that it would have been stays empty, as Docker leaves it. */
export function printDocument(host: Host, template: ParsedTemplate, document: GoValue): void {
  try {
    host.stdout.write(`${applyFormat(template, document)}\n`);
  } catch (error) {
    if (error instanceof TemplateFailure) host.stdout.write('\n');
    throw error;
  }
}
