import type { TemplateExecError, TemplateParseError } from '../template/index.ts';

/** A `--format` that cannot be parsed or executed: printed as it is, as Docker prints it. */
export class TemplateFailure extends Error {
  override readonly name = 'TemplateFailure';
  /** 64 for bad syntax in version, info and inspect; else 1. */
  readonly exitCode: number;

  /** @param bare - the message without Docker's `template parsing error: ` before it. */
  constructor(
    cause: TemplateParseError | TemplateExecError,
    options: { readonly exitCode: number; readonly bare?: boolean },
  ) {
    super(options.bare ? cause.message : `template parsing error: ${cause.message}`, { cause });
    this.exitCode = options.exitCode;
  }
}
