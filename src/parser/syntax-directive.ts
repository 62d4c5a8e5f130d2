import { CairnError, type Span } from '../errors/index.ts';
import { findDirective } from './directives.ts';
import type { Word } from './instruction.ts';
import type { SourceText } from './source-text.ts';

/** Frontend images whose language is the one parsed here, whatever their tag. */
const dockerfileFrontend = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@].*)?$/;

/**
 * Refuses a file that asks for another frontend: it need not be a Dockerfile at all. The request may be a
 * `# syntax=` or `// syntax=` line or the key of a JSON object.
 * @param chosen - takes the place of what the file says.
 * @throws {CairnError} SYNTAX_UNSUPPORTED
 */
export function checkSyntax(source: SourceText, chosen?: string): void {
  if (chosen) {
    if (!dockerfileFrontend.test(chosen.split(' ', 1)[0]!)) throw unsupported(chosen);
    return;
  }
  const syntax =
    findDirective(source, 'syntax', '#') ?? findDirective(source, 'syntax', '//') ?? jsonSyntax(source);
  if (syntax === undefined) return;
  const image = syntax.text.split(' ', 1)[0]!;
  if (dockerfileFrontend.test(image)) return;
  throw unsupported(image, syntax.span);
}

function unsupported(image: string, at?: Span): CairnError {
  return new CairnError('SYNTAX_UNSUPPORTED', {
    message: `the frontend "${image}" is not supported`,
    ...(at ? { at } : {}),
    notes: [{ message: 'Cairn understands docker/dockerfile of any version, and runs no frontend images' }],
    help: at
      ? 'remove the directive if the file is a Dockerfile'
      : 'leave the build argument BUILDKIT_SYNTAX out if the file is a Dockerfile',
  });
}

function jsonSyntax(source: SourceText): Word | undefined {
  if (!source.text.trimStart().startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(source.text);
    if (typeof value !== 'object' || value === null || !('syntax' in value)) return undefined;
    return typeof value.syntax === 'string' ? { text: value.syntax, span: source.lineSpan(1) } : undefined;
  } catch {
    return undefined;
  }
}
