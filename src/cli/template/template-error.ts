/** A template that cannot be parsed; `message` begins with `template: NAME:LINE: `. */
export class TemplateParseError extends Error {
  override readonly name = 'TemplateParseError';
}

/** A template that failed while executing; `message` begins with `template: NAME:LINE:COLUMN: executing …`. */
export class TemplateExecError extends Error {
  override readonly name = 'TemplateExecError';
}
