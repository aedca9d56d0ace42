import { useState } from 'react';
import { ActionIcon, Combobox, InputBase, Text, Tooltip, useCombobox } from '@mantine/core';
import { IconChevronDown, IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useLocation, useNavigate } from '@tanstack/react-router';
import { meQuery } from '~/features/auth';
import { NewProjectDialog } from '~/features/projects';
import classes from './ProjectSwitcher.module.css';

/** Which project is looked at. Changing it keeps the noun. */
export function ProjectSwitcher({ project }: { project: string }) {
  const { data: me } = useQuery(meQuery);
  const roles = me?.roles ?? [];
  const [making, setMaking] = useState(false);
  return (
    <div className={classes.place}>
      <div className={classes.brand}>
        <img src="/favicon.svg" alt="" width={24} height={24} />
        <span>Mainstay</span>
      </div>
      <div className={classes.row}>
        {roles.length > 1 ? (
          <Chooser project={project} roles={roles} />
        ) : (
          <Text size="sm" c="dimmed" px={12}>
            {project}
          </Text>
        )}
        {me?.administrator ? (
          <Tooltip label="New project">
            <ActionIcon variant="subtle" color="gray" size={28} aria-label="New project" onClick={() => setMaking(true)}>
              <IconPlus size={16} stroke={1.75} />
            </ActionIcon>
          </Tooltip>
        ) : null}
      </div>
      {making ? <NewProjectDialog taken={roles.map((r) => r.project)} onClose={() => setMaking(false)} /> : null}
    </div>
  );
}

function Chooser({ project, roles }: { project: string; roles: readonly { project: string; role: string }[] }) {
  const [text, setText] = useState('');
  const combobox = useCombobox({ onDropdownClose: () => setText('') });
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const choose = (to: string) => {
    combobox.closeDropdown();
    const noun = pathname.split('/')[3] ?? 'clusters';
    void navigate({ to: `/p/$project/${noun}` as '/p/$project/clusters', params: { project: to } });
  };
  const found = roles.filter((r) => r.project.includes(text.toLowerCase()));
  return (
    <Combobox store={combobox} onOptionSubmit={choose}>
      <Combobox.Target>
        <InputBase
          aria-label="Project"
          value={combobox.dropdownOpened ? text : project}
          placeholder={project}
          rightSection={<IconChevronDown size={16} stroke={1.75} aria-hidden />}
          rightSectionPointerEvents="none"
          onClick={() => combobox.openDropdown()}
          onFocus={() => combobox.openDropdown()}
          onBlur={() => combobox.closeDropdown()}
          onChange={(event) => {
            setText(event.currentTarget.value);
            combobox.openDropdown();
            combobox.updateSelectedOptionIndex();
          }}
        />
      </Combobox.Target>
      <Combobox.Dropdown>
        <Combobox.Options>
          {found.map((r) => (
            <Combobox.Option key={r.project} value={r.project} active={r.project === project}>
              {r.project}{' '}
              <Text span size="xs" c="dimmed">
                {r.role}
              </Text>
            </Combobox.Option>
          ))}
          {found.length === 0 ? <Combobox.Empty>No project is named so</Combobox.Empty> : null}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}
