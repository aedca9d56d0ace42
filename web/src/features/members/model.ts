import type { Member, Role } from '~/api/schema';

export const roles: readonly Role[] = ['viewer', 'operator', 'admin', 'owner'];

/** What a role may, each with what those before it may. */
export const mayDo: readonly { what: string; from: Role }[] = [
  { what: 'See clusters, backups and alerts; no secrets', from: 'viewer' },
  { what: 'Back up, drill, reboot, restore to new clusters', from: 'operator' },
  { what: 'Create, change and delete clusters; restore in place; credentials; audit', from: 'admin' },
  { what: 'Members, storages, tokens, recovery keys, deletion for good', from: 'owner' },
];

/** Somebody has to be left who can do everything. */
export function lastOwner(members: readonly Member[], m: Member, project: string): string | undefined {
  const owners = members.filter((x) => x.role === 'owner' && !x.disabled);
  return m.role === 'owner' && owners.length === 1 && owners[0]?.id === m.id ? `${project} needs an owner. Make someone else owner first.` : undefined;
}
