"""Pages and addresses, a blueprint per audience: launch, instructor, learner, picker, public."""
