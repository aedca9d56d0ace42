import { IconCheck, IconMinus } from '@tabler/icons-react';
import { covers } from '~/shared/lib/role';
import { mayDo, roles } from '../model';
import classes from './Members.module.css';

/** What each role may do. */
export function RolesTable() {
  return (
    <section aria-label="What each role may do">
      <h2 className={classes.title}>What each role may do</h2>
      <div className={classes.scroll} role="region" aria-label="Roles" tabIndex={0}>
        <table className={classes.table}>
          <thead>
            <tr>
              <th scope="col">May</th>
              {roles.map((r) => (
                <th key={r} scope="col">
                  {r}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {mayDo.map(({ what, from }) => (
              <tr key={what}>
                <th scope="row">{what}</th>
                {roles.map((r) => {
                  const yes = covers(r, from);
                  const Icon = yes ? IconCheck : IconMinus;
                  return (
                    <td key={r}>
                      <Icon size={16} stroke={1.75} role="img" aria-label={yes ? 'yes' : 'no'} color={yes ? 'var(--ms-good-ink)' : 'var(--ms-dim)'} />
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
