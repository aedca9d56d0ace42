import { createContext, useContext } from 'react';
import type { Role } from '~/api/schema';

const ladder: readonly Role[] = ['viewer', 'operator', 'admin', 'owner'];

export function covers(role: Role, needed: Role): boolean {
  return ladder.indexOf(role) >= ladder.indexOf(needed);
}

export interface Standing {
  /** In the project that is looked at; an administrator of the installation may all. */
  role: Role;
  administrator: boolean;
  project: string;
}

export const StandingContext = createContext<Standing>({ role: 'viewer', administrator: false, project: 'default' });

export const useStanding = () => useContext(StandingContext);

/** Whether the reader may; the server decides all the same. */
export function useMay(needed: Role): boolean {
  const { role, administrator } = useStanding();
  return administrator || covers(role, needed);
}
