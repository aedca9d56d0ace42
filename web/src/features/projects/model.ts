/** Why a project cannot be called so, or nothing. */
export function nameFault(name: string, taken: readonly string[]): string | undefined {
  if (!/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name)) return 'Use a-z, 0-9 and -, starting with a letter, 40 characters at most.';
  return taken.includes(name) ? `There is a project ${name} already.` : undefined;
}
