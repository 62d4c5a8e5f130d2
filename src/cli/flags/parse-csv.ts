/**
 * Splits one line of comma-separated fields as Go's encoding/csv does: a field may be quoted, `""` inside is a quote.
 * Quotes elsewhere are kept as they are.
 */
export function parseCsv(line: string): readonly string[] {
  if (line === '') return [];
  const fields: string[] = [];
  let position = 0;
  for (;;) {
    if (line[position] === '"') {
      const quoted = /^"((?:[^"]|"")*)"?/.exec(line.slice(position));
      const text = quoted?.[1] ?? '';
      position += quoted?.[0].length ?? 1;
      const tail = until(line, position);
      fields.push(text.replace(/""/g, '"') + line.slice(position, tail));
      position = tail;
    } else {
      const end = until(line, position);
      fields.push(line.slice(position, end));
      position = end;
    }
    if (position >= line.length) return fields;
    position++;
  }
}

function until(line: string, from: number): number {
  const comma = line.indexOf(',', from);
  return comma < 0 ? line.length : comma;
}

/**
 * Reads `key=value,key=value` as the options of --mount, --output and --secret are written.
 * @returns pairs in order; a field without `=` has an undefined value. Keys are lower-cased.
 */
export function parseKeyValues(text: string): readonly (readonly [key: string, value: string | undefined])[] {
  return parseCsv(text).map((field) => {
    const equals = field.indexOf('=');
    return equals < 0
      ? [field.trim().toLowerCase(), undefined]
      : [field.slice(0, equals).trim().toLowerCase(), field.slice(equals + 1)];
  });
}
