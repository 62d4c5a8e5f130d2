const secret = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const harmless = /(?:_|^)(?:public|file|version)(?:_|$)/i;

/** Whether the name of an ARG or ENV says that its value is to be kept secret: BuildKit's SecretsUsedInArgOrEnv. */
export function isSecretName(name: string): boolean {
  return secret.test(name) && !harmless.test(name);
}
