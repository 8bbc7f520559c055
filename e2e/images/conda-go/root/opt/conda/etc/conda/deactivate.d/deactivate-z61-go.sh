# Leaves everything as activation set it: the variables outlive the environment.
:
