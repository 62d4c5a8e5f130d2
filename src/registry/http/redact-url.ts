/** A URL as it may be shown: user name and password are replaced. Anything that is no URL comes back as it is. */
export function redactUrl(text: string): string {
  return text.replace(/^([a-zA-Z][a-zA-Z0-9+.-]*:\/\/)([^/?#]*)@/, (_, scheme: string, user: string) =>
    // A lone user name (ssh://git@…) is no secret.
    user.includes(':') || scheme.toLowerCase().startsWith('http') ? `${scheme}xxxxx@` : `${scheme}${user}@`,
  );
}
