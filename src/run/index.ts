export type {
  NetworkMode,
  Sandbox,
  SandboxHandle,
  SandboxKind,
  SandboxMount,
  SandboxResult,
  SandboxRun,
  SandboxSpec,
  SandboxUser,
} from './contracts.ts';
export { findProgram } from './find-program.ts';
export { chooseSandbox, type OpenSandboxOptions, openSandbox } from './open-sandbox.ts';
export { userNamespaceCommand } from './user-namespace.ts';
