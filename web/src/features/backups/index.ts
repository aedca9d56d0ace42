export { allBackupsQuery, backupQuery, backupsOfQuery } from './queries';
export { backupKind, isGoing, nameOf, restorable, sound } from './model';
export { backupsSearch, type BackupsSearch } from './search';
