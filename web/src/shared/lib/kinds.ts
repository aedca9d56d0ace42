/** What operations are called. The server's own sentence counts where it has one. */
const kinds: Record<string, string> = {
  add_node: 'Add node',
  back_up: 'Back up',
  back_up_group: 'Back up group',
  configure: 'Apply settings',
  copy_backup: 'Copy backup',
  create_cluster: 'Create cluster',
  delete_backup: 'Delete backup',
  delete_cluster: 'Delete cluster',
  drill: 'Drill',
  expire_backups: 'Remove expired backups',
  promote: 'Promote',
  purge_cluster: 'Delete for good',
  recover_cluster: 'Recover cluster',
  rekey_storage: 'Rekey storage',
  remove_node: 'Remove node',
  restart_cluster: 'Restart',
  restart_node: 'Reboot',
  restore_group: 'Restore group',
  restore_in_place: 'Restore in place',
  restore_new: 'Restore as new',
  resync: 'Resync',
  resync_node: 'Resync node',
  rotate_credentials: 'Rotate credentials',
  set_allow_list: 'Apply allow-list',
  set_log: 'Set points in time',
  set_recovery_keys: 'Change recovery keys',
  start_cluster: 'Start',
  stop_cluster: 'Stop',
  undelete_cluster: 'Bring back',
  undo_restore: 'Undo restore',
  verify: 'Verify backup',
};

export function kindTitle(kind: string): string {
  if (Object.hasOwn(kinds, kind)) return kinds[kind] ?? kind;
  const text = kind.replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}
