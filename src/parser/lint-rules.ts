import type { Span } from '../errors/index.ts';
import type { Diagnostic } from './diagnostic.ts';
import { goQuote } from './go-quote.ts';

/** The names of BuildKit's build checks. */
export type RuleName =
  | 'StageNameCasing'
  | 'FromAsCasing'
  | 'NoEmptyContinuation'
  | 'ConsistentInstructionCasing'
  | 'DuplicateStageName'
  | 'ReservedStageName'
  | 'JSONArgsRecommended'
  | 'MaintainerDeprecated'
  | 'UndefinedArgInFrom'
  | 'WorkdirRelativePath'
  | 'UndefinedVar'
  | 'MultipleInstructionsDisallowed'
  | 'LegacyKeyValueFormat'
  | 'InvalidBaseImagePlatform'
  | 'RedundantTargetPlatform'
  | 'SecretsUsedInArgOrEnv'
  | 'InvalidDefaultArgInFrom'
  | 'FromPlatformFlagConstDisallowed'
  | 'CopyIgnoredFile'
  | 'InvalidDefinitionDescription'
  | 'ExposeProtoCasing'
  | 'ExposeInvalidFormat';

/** One check: what it is about, and how its finding is worded (as BuildKit words it, so that tools which read it work). */
export class Rule<Parameters extends readonly string[]> {
  readonly name: RuleName;
  readonly description: string;
  readonly url: string | undefined;
  /** Off unless asked for. */
  readonly isExperimental: boolean;
  private readonly word: (...parameters: Parameters) => string;

  constructor(
    name: RuleName,
    parts: {
      description: string;
      message: (...parameters: Parameters) => string;
      page?: false;
      experimental?: true;
    },
  ) {
    this.name = name;
    this.description = parts.description;
    this.word = parts.message;
    this.url =
      parts.page === false ? undefined : `https://docs.docker.com/go/dockerfile/rule/${kebab(name)}/`;
    this.isExperimental = parts.experimental ?? false;
  }

  /** The finding at a place. */
  diagnose(span: Span, ...parameters: Parameters): Diagnostic {
    const message = this.word(...parameters);
    return {
      rule: this.name,
      message,
      description: this.description,
      span,
      ...(this.url && { url: this.url }),
    };
  }
}

function kebab(name: string): string {
  return name
    .replace(/([a-z])([A-Z])/g, '$1-$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .toLowerCase();
}

const didYouMean = (suggestion: string): string =>
  suggestion === '' ? '' : ` (did you mean ${suggestion}?)`;

/** All 22 checks. */
export const rules = {
  StageNameCasing: new Rule('StageNameCasing', {
    description: 'Stage names should be lowercase',
    message: (name: string) => `Stage name '${name}' should be lowercase`,
  }),
  FromAsCasing: new Rule('FromAsCasing', {
    description: "The 'as' keyword should match the case of the 'from' keyword",
    message: (from: string, as: string) => `'${as}' and '${from}' keywords' casing do not match`,
  }),
  NoEmptyContinuation: new Rule('NoEmptyContinuation', {
    description: 'Empty continuation lines will become errors in a future release',
    message: () => 'Empty continuation line',
  }),
  ConsistentInstructionCasing: new Rule('ConsistentInstructionCasing', {
    description: 'All commands within the Dockerfile should use the same casing (either upper or lower)',
    message: (command: string, casing: string) =>
      `Command '${command}' should match the case of the command majority (${casing})`,
  }),
  DuplicateStageName: new Rule('DuplicateStageName', {
    description: 'Stage names should be unique',
    message: (name: string) => `Duplicate stage name ${goQuote(name)}, stage names should be unique`,
  }),
  ReservedStageName: new Rule('ReservedStageName', {
    description: 'Reserved words should not be used as stage names',
    message: (name: string) => `Stage name should not use the same name as reserved stage ${goQuote(name)}`,
  }),
  JSONArgsRecommended: new Rule('JSONArgsRecommended', {
    description:
      'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
    message: (keyword: string) =>
      `JSON arguments recommended for ${keyword} to prevent unintended behavior related to OS signals`,
  }),
  MaintainerDeprecated: new Rule('MaintainerDeprecated', {
    description: 'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
    message: () => 'Maintainer instruction is deprecated in favor of using label',
  }),
  UndefinedArgInFrom: new Rule('UndefinedArgInFrom', {
    description: 'FROM command must use declared ARGs',
    message: (name: string, suggestion: string) =>
      `FROM argument '${name}' is not declared${didYouMean(suggestion)}`,
  }),
  WorkdirRelativePath: new Rule('WorkdirRelativePath', {
    description:
      'Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes',
    message: (path: string) =>
      `Relative workdir ${goQuote(path)} can have unexpected results if the base image changes`,
  }),
  UndefinedVar: new Rule('UndefinedVar', {
    description: 'Variables should be defined before their use',
    message: (name: string, suggestion: string) =>
      `Usage of undefined variable '$${name}'${didYouMean(suggestion && `$${suggestion}`)}`,
  }),
  MultipleInstructionsDisallowed: new Rule('MultipleInstructionsDisallowed', {
    description: 'Multiple instructions of the same type should not be used in the same stage',
    message: (keyword: string) =>
      `Multiple ${keyword} instructions should not be used in the same stage because only the last one will be used`,
  }),
  LegacyKeyValueFormat: new Rule('LegacyKeyValueFormat', {
    description: 'Legacy key/value format with whitespace separator should not be used',
    message: (keyword: string) =>
      `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`,
  }),
  InvalidBaseImagePlatform: new Rule('InvalidBaseImagePlatform', {
    description: 'Base image platform does not match expected target platform',
    message: (image: string, expected: string, actual: string) =>
      `Base image ${image} was pulled with platform ${goQuote(actual)}, expected ${goQuote(expected)} for current build`,
    page: false,
  }),
  RedundantTargetPlatform: new Rule('RedundantTargetPlatform', {
    description:
      'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
    message: (variable: string) =>
      `Setting platform to predefined ${variable} in FROM is redundant as this is the default behavior`,
  }),
  SecretsUsedInArgOrEnv: new Rule('SecretsUsedInArgOrEnv', {
    description: 'Sensitive data should not be used in the ARG or ENV commands',
    message: (keyword: string, key: string) =>
      `Do not use ARG or ENV instructions for sensitive data (${keyword} ${goQuote(key)})`,
  }),
  InvalidDefaultArgInFrom: new Rule('InvalidDefaultArgInFrom', {
    description: 'Default value for global ARG results in an empty or invalid base image name',
    message: (image: string) => `Default value for ARG ${image} results in empty or invalid base image name`,
  }),
  FromPlatformFlagConstDisallowed: new Rule('FromPlatformFlagConstDisallowed', {
    description: 'FROM --platform flag should not use a constant value',
    message: (platform: string) => `FROM --platform flag should not use constant value ${goQuote(platform)}`,
  }),
  CopyIgnoredFile: new Rule('CopyIgnoredFile', {
    description: 'Attempting to Copy file that is excluded by .dockerignore',
    message: (verb: string, path: string) =>
      `Attempting to ${verb} file ${goQuote(path)} that is excluded by .dockerignore`,
  }),
  InvalidDefinitionDescription: new Rule('InvalidDefinitionDescription', {
    description:
      'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.',
    message: (keyword: string, name: string) =>
      `Comment for ${keyword} should follow the format: \`# ${name} <description>\``,
    experimental: true,
  }),
  ExposeProtoCasing: new Rule('ExposeProtoCasing', {
    description: 'Protocol in EXPOSE instruction should be lowercase',
    message: (port: string) => `Defined protocol '${port}' in EXPOSE instruction should be lowercase`,
  }),
  ExposeInvalidFormat: new Rule('ExposeInvalidFormat', {
    description:
      'IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release',
    message: (port: string) =>
      `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
  }),
} as const satisfies Readonly<Record<RuleName, Rule<never>>>;
