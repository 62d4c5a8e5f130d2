import { describe, expect, test } from 'vitest';
import {
  alignColumns,
  createdSince,
  displayWidth,
  ellipsis,
  goTimeString,
  humanDuration,
  humanMemory,
  humanSize,
  parseByteSize,
  type RowFormat,
  renderRows,
} from '../../src/cli/format/index.ts';

test.each([
  [0, '0B', '0B'],
  [3, '3B', '3B'],
  [999, '999B', '999B'],
  [1000, '1kB', '1kB'],
  [1982366, '1.98MB', '1.982MB'],
  [213_456_789, '213MB', '213.5MB'],
  [1_090_000_000, '1.09GB', '1.09GB'],
  [31_290, '31.3kB', '31.29kB'],
  [999_950, '1e+03kB', '1000kB'],
])('%i bytes are shown as %s and %s', (bytes, three, four) => {
  expect(humanSize(bytes)).toBe(three);
  expect(humanSize(bytes, 4)).toBe(four);
});

test('memory is shown in binary units', () => {
  expect(humanMemory(25_275_000_000)).toBe('23.54GiB');
});

test.each([
  ['64m', 64 * 2 ** 20],
  ['1.5g', 1.5 * 2 ** 30],
  ['1024', 1024],
  ['512KiB', 512 * 1024],
  ['2GB', 2 ** 31],
  ['x', null],
  ['1q', null],
  ['', null],
])('the size %j is %j', (text, bytes) => {
  expect(parseByteSize(text)).toBe(bytes);
});

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

test.each([
  [900, 'Less than a second'],
  [second, '1 second'],
  [59 * second, '59 seconds'],
  [minute, 'About a minute'],
  [119 * second, 'About a minute'],
  [2 * minute, '2 minutes'],
  [59 * minute, '59 minutes'],
  [60 * minute, 'About an hour'],
  [89 * minute, 'About an hour'],
  [91 * minute, '2 hours'],
  [47 * hour, '47 hours'],
  [48 * hour, '2 days'],
  [13 * day, '13 days'],
  [14 * day, '2 weeks'],
  [59 * day, '8 weeks'],
  [60 * day, '2 months'],
  [729 * day, '24 months'],
  [730 * day, '2 years'],
])('%i ms is %s', (milliseconds, words) => {
  expect(humanDuration(milliseconds)).toBe(words);
});

test('a constant date of a reproducible build has no age', () => {
  expect(createdSince(315532801_000, Date.UTC(2026, 0, 1))).toBe('N/A');
  expect(createdSince(Date.UTC(2025, 11, 31), Date.UTC(2026, 0, 1))).toBe('24 hours ago');
  expect(goTimeString(315532801_000)).toBe('1980-01-01 00:00:01 +0000 UTC');
});

test.each([
  ['short', 45, 'short'],
  ['exactly', 7, 'exactly'],
  ['longer text', 7, 'longer…'],
  ['日本語テキスト', 7, '日本語…'],
  ['e\u0301e\u0301e\u0301', 3, 'e\u0301e\u0301e\u0301'],
  ['👍👍👍', 5, '👍👍…'],
])('%s is cut to %i columns as %s', (text, columns, expected) => {
  expect(ellipsis(text, columns)).toBe(expected);
  expect(displayWidth(expected)).toBeLessThanOrEqual(columns);
});

describe('columns are aligned as Go does', () => {
  test.each([
    [
      'cells of a column share a width of at least 10',
      'A\tBBBBBBBBBBBB\tC\n1\t2\t3\n',
      'A         BBBBBBBBBBBB   C\n1         2              3\n',
    ],
    ['an empty last cell leaves no blanks beyond its column', 'A\tB\n1\t\n', 'A         B\n1         \n'],
    [
      'a line without tabs ends a column',
      'A\tB\nplain\n1234567890123\t2\n',
      'A         B\nplain\n1234567890123   2\n',
    ],
    [
      'a shorter line ends only its later columns',
      'a\tb\tc\nd\te\nf\tg\th\n',
      'a         b         c\nd         e\nf         g         h\n',
    ],
  ])('%s', (_, text, expected) => {
    expect(alignColumns(text)).toBe(expected);
  });
});

interface Row {
  readonly name: string;
  readonly size: string;
}

const shape: RowFormat<Row> = {
  typeName: '*formatter.rowContext',
  table: '{{.Name}}\\t{{.Size}}',
  raw: 'name: {{.Name}}\\n',
  columns: [
    { name: 'Name', header: 'NAME', value: (row) => row.name },
    { name: 'Size', header: 'SIZE', value: (row) => row.size },
  ],
};
const rows: readonly Row[] = [
  { name: '<a>', size: '1B' },
  { name: 'b', size: '2B' },
];

describe('rows', () => {
  test.each([
    ['', 'NAME      SIZE\n<a>       1B\nb         2B\n'],
    ['table', 'NAME      SIZE\n<a>       1B\nb         2B\n'],
    ['table {{.Size}}\\t{{.Name}}', 'SIZE      NAME\n1B        <a>\n2B        b\n'],
    ['table {{upper .Name}}', 'NAME\n<A>\nB\n'],
    ['table {{.Name | printf "%s!"}}', 'NAME!\n<a>!\nb!\n'],
    ['json', '{"Name":"\\u003ca\\u003e","Size":"1B"}\n{"Name":"b","Size":"2B"}\n'],
    ['{{json .Name}}', '"<a>"\n"b"\n'],
    ['raw', 'name: <a>\n\nname: b\n\n'],
    ['{{.Name}}\\t{{.Size}}', '<a>\t1B\nb\t2B\n'],
    ['{{.Name}}:{{.Size}}', '<a>:1B\nb:2B\n'],
  ])('format %j', (format, expected) => {
    expect(renderRows(rows, format, shape)).toBe(expected);
  });

  test('an empty list has a header as a table and nothing otherwise', () => {
    expect(renderRows([], '', shape)).toBe('NAME      SIZE\n');
    expect(renderRows([], '{{.Name}}', shape)).toBe('');
  });

  test('an unknown field names Docker’s type', () => {
    expect(() => renderRows(rows, '{{.Foo}}', shape)).toThrow(
      `template parsing error: template: :1:2: executing "" at <.Foo>: can't evaluate field Foo in type *formatter.rowContext`,
    );
  });

  test('bad syntax is told without rows, too', () => {
    expect(() => renderRows([], '{{.Foo', shape)).toThrow(
      'template parsing error: template: :1: unclosed action',
    );
  });
});
