# SPDX-License-Identifier: Apache-2.0
# The whole run ends by a signal: the status says so.
echo before
kill -KILL $$
echo after
