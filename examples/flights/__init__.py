"""Will this flight be late? Features, a model and scores on the flights that left New York in 2013."""
