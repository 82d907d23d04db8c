"""The dashboards as programs: a file each, on common ground in `queries`, `panels` and `frame`."""
