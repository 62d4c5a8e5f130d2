/** Who asks. An identity token is what some registries give out in place of a password; a registry token is sent as it is. */
export type Credentials =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'identity-token'; readonly token: string }
  | { readonly kind: 'registry-token'; readonly token: string };

/** Finds what is known for one host; null for anonymous. */
export type FindCredentials = (registry: string) => Promise<Credentials | null>;

/** The value of an Authorization header. */
export function basicHeader({
  username,
  password,
}: {
  readonly username: string;
  readonly password: string;
}): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}
