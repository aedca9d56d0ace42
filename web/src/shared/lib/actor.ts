/** Who: "user:ann@example.org" reads as the name alone; a token says that it is one. */
export function actorName(actor: string): string {
  return actor.replace(/^user:/, '').replace(/^token:(.*)$/, '$1 (token)');
}
