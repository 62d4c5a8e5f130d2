import {
  evaluateTemplate,
  formatFunctions,
  type GoValue,
  type ParsedTemplate,
  parseTemplate,
  TemplateExecError,
  TemplateParseError,
} from '../template/index.ts';
import { TemplateFailure } from './template-failure.ts';

/**
 * Parses the `--format` of a command that prints documents (inspect, version, info); `json` is `{{json .}}`.
 * @throws {TemplateFailure} with exit code 64
 */
export function parseFormat(format: string, name = ''): ParsedTemplate {
  const source = format === 'json' ? '{{json .}}' : format;
  try {
    return parseTemplate(name, source, (identifier) => formatFunctions.has(identifier));
  } catch (error) {
    if (error instanceof TemplateParseError) throw new TemplateFailure(error, { exitCode: 64 });
    throw error;
  }
}

/** Applies such a format to a document. @throws {TemplateFailure} with exit code 1, without Docker's prefix */
export function applyFormat(template: ParsedTemplate, value: GoValue): string {
  try {
    return evaluateTemplate(template, value, { functions: formatFunctions });
  } catch (error) {
    if (error instanceof TemplateExecError) throw new TemplateFailure(error, { exitCode: 1, bare: true });
    throw error;
  }
}

/**
 * Applies `inspect`'s format: to the typed document, and where that fails to the raw one, in which an unknown key is an error.
 * @throws {TemplateFailure} with exit code 1
 */
export function applyInspectFormat(template: ParsedTemplate, typed: GoValue, raw: GoValue): string {
  try {
    return evaluateTemplate(template, typed, { functions: formatFunctions });
  } catch (error) {
    if (!(error instanceof TemplateExecError)) throw error;
  }
  try {
    return evaluateTemplate(template, raw, { functions: formatFunctions, missingKey: 'error' });
  } catch (error) {
    if (error instanceof TemplateExecError) throw new TemplateFailure(error, { exitCode: 1 });
    throw error;
  }
}
