// In this order: the story leaves clusters behind that the others look at.
import './story';
import './backups';
import './moment';
import './groups';
import './pages.axe';
import './keyboard';
import './terminal';
import './foreign';
import './offline';
import './people';
import './storages';
import './scale';
