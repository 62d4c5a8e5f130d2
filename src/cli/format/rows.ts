import {
  evaluateTemplate,
  formatFunctions,
  type GoField,
  GoMap,
  GoStruct,
  type GoValue,
  headerFunctions,
  type ParsedTemplate,
  parseTemplate,
  TemplateExecError,
  TemplateParseError,
} from '../template/index.ts';
import { alignColumns } from './tab-writer.ts';
import { TemplateFailure } from './template-failure.ts';

/** A column that templates can name, with Docker's header for it. */
export interface Column<Row> {
  readonly name: string;
  readonly header: string;
  readonly value: (row: Row) => string;
}

export interface RowFormat<Row> {
  /** Go's name of the row's type, for messages: `*formatter.imageContext`. */
  readonly typeName: string;
  readonly columns: readonly Column<Row>[];
  /** What `table` alone means. */
  readonly table: string;
  /** What `raw` means, when the command has it. */
  readonly raw?: string;
}

/**
 * Renders rows as Docker's formatter does: `table`, `table TEMPLATE`, `json`, `raw` or a template applied to each.
 * @returns the text with its final line end; empty for no rows in a format without header.
 * @throws {TemplateFailure}
 */
export function renderRows<Row>(rows: readonly Row[], format: string, shape: RowFormat<Row>): string {
  const { source, isTable } = resolveFormat(format, shape);
  try {
    const names = isTable ? headerFunctions : formatFunctions;
    const template = parseTemplate('', source, (name) => names.has(name));
    const body = rows.map((row) => `${evaluateRow(template, row, shape)}\n`).join('');
    if (!isTable) return body;
    return alignColumns(`${headerLine(template, shape)}\n${body}`);
  } catch (error) {
    if (error instanceof TemplateParseError || error instanceof TemplateExecError)
      throw new TemplateFailure(error, { exitCode: 1 });
    throw error;
  }
}

function resolveFormat<Row>(format: string, shape: RowFormat<Row>): { source: string; isTable: boolean } {
  let source = format;
  let isTable = false;
  if (format === 'json') source = '{{json .}}';
  else if (format === 'raw' && shape.raw !== undefined) source = shape.raw;
  else if (format === 'table' || format === '') [source, isTable] = [shape.table, true];
  else if (format.startsWith('table')) [source, isTable] = [format.slice('table'.length), true];
  source = source
    .replace(/^ +| +$/g, '')
    .replace(/\\t/g, '\t')
    .replace(/\\n/g, '\n');
  return { source, isTable };
}

function evaluateRow<Row>(template: ParsedTemplate, row: Row, shape: RowFormat<Row>): string {
  const fields: GoField[] = shape.columns.map(({ name, value }) => ({ name, value: value(row) }));
  // Docker marshals a row through a map: keys sorted.
  fields.sort((a, b) => (a.name < b.name ? -1 : 1));
  return evaluateTemplate(template, new GoStruct(shape.typeName, fields, { escapesHtml: true }), {
    functions: formatFunctions,
  });
}

function headerLine<Row>(template: ParsedTemplate, shape: RowFormat<Row>): string {
  const headers: (readonly [string, GoValue])[] = shape.columns.map(({ name, header }) => [name, header]);
  return evaluateTemplate(template, new GoMap(headers), { functions: headerFunctions });
}
